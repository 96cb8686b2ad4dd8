/**
 * Parses Slack's mrkdwn into a tree of plain values, independent of the page.
 *
 * Blocks: {type: "paragraph" | "quote", children} and {type: "preformatted", text}.
 * Inline: {type: "text", text} | {type: "break"} | {type: "bold" | "italic" | "strike", children}
 *       | {type: "code", text} | {type: "emoji", name} | {type: "angle", body}: the unresolved content of <...>.
 * Source: docs.slack.dev, "Formatting message text".
 */

const FENCE = "```";
const STYLES = { "*": "bold", _: "italic", "~": "strike" };
const DEEPEST = 8; // deeper nesting is shown as written
const EMOJI = /:([a-z0-9_+-]{1,60}):/y;
const BARE_URL = /https?:\/\/[^\s<>"`]+/y;
const SPACE = /[\s\u200b]/; // next to a marker, a space of zero width counts as one
const ENTITIES = { "&lt;": "<", "&gt;": ">", "&amp;": "&" };

/** Replaces Slack's three entities by characters, but no others: `&quot;` is shown as written. */
export function unescape(text) {
  return text.replace(/&(?:lt|gt|amp);/g, (entity) => ENTITIES[entity]);
}

/** Returns the blocks of a text. `links` also finds bare URLs, which must not happen in `verbatim` texts. */
export function parse(text, { links = true } = {}) {
  return text.split(FENCE).flatMap((part, index, parts) => {
    const closed = index < parts.length - 1;
    if (index % 2 === 1 && closed) return [{ type: "preformatted", text: part.replace(/^\n/, "").replace(/\n$/, "") }];
    const lines = index % 2 === 1 ? FENCE + part : part;
    return paragraphs(withoutFenceBreaks(lines, index > 0 && index % 2 === 0, closed), links);
  });
}

/** Drops the line breaks next to a code block, which is on lines of its own anyway. */
function withoutFenceBreaks(text, afterFence, beforeFence) {
  const from = afterFence && text.startsWith("\n") ? 1 : 0;
  const to = beforeFence && text.endsWith("\n") && text.length > from ? text.length - 1 : text.length;
  return text.slice(from, to);
}

function paragraphs(text, links) {
  if (text === "") return [];
  const blocks = [];
  const lines = text.split("\n");
  for (let index = 0; index < lines.length; index += 1) {
    const threefold = /^(?:>|&gt;){3} ?/.exec(lines[index]);
    const quoted = threefold ?? /^(?:>|&gt;) ?/.exec(lines[index]);
    const type = quoted ? "quote" : "paragraph";
    const content = threefold ? [lines[index], ...lines.splice(index + 1)].join("\n") : lines[index];
    append(blocks, type, inline(content.slice(quoted?.[0].length ?? 0), links));
  }
  return blocks;
}

function append(blocks, type, children) {
  const last = blocks.at(-1);
  if (last?.type === type) last.children.push({ type: "break" }, ...children);
  else blocks.push({ type, children });
}

function inline(text, links, depth = 0) {
  const out = [];
  const unclosed = new Set(); // markers that nothing closes from here on, so that each is searched for once
  let plain = "";
  const flush = () => {
    if (plain) out.push({ type: "text", text: unescape(plain) });
    plain = "";
  };
  for (let at = 0; at < text.length;) {
    const found = nodeAt(text, at, links, depth, unclosed);
    if (found) {
      flush();
      out.push(found.node);
      at = found.end;
    } else {
      plain += text[at];
      at += 1;
    }
  }
  flush();
  return out;
}

function nodeAt(text, at, links, depth, unclosed) {
  const character = text[at];
  if (character === "\n") return { node: { type: "break" }, end: at + 1 };
  if (character === "<") return angleAt(text, at);
  if (character === "`") return codeAt(text, at, unclosed);
  if (character === ":") return emojiAt(text, at);
  if (Object.hasOwn(STYLES, character) && depth < DEEPEST) return styledAt(text, at, links, depth, unclosed);
  if (links && character === "h" && !isWord(text[at - 1])) return bareUrlAt(text, at);
  return null;
}

function angleAt(text, at) {
  const end = text.indexOf(">", at);
  const body = end < 0 ? "" : text.slice(at + 1, end);
  return body && !/[<\n]/.test(body) ? { node: { type: "angle", body }, end: end + 1 } : null;
}

function codeAt(text, at, unclosed) {
  const end = unclosed.has("`") ? -1 : text.indexOf("`", at + 1);
  if (end < 0) unclosed.add("`");
  const body = end < 0 ? "" : text.slice(at + 1, end);
  return body && !body.includes("\n") ? { node: { type: "code", text: body }, end: end + 1 } : null;
}

function emojiAt(text, at) {
  EMOJI.lastIndex = at;
  const match = EMOJI.exec(text);
  return match ? { node: { type: "emoji", name: match[1] }, end: EMOJI.lastIndex } : null;
}

function bareUrlAt(text, at) {
  BARE_URL.lastIndex = at;
  const match = BARE_URL.exec(text)?.[0].replace(/[.,;:!?)\]}'*_~]+$/, "");
  return match && match.length > "https://".length
    ? { node: { type: "angle", body: match }, end: at + match.length }
    : null;
}

/** *bold*: opened at the start of a word, closed at the end of one, on the same line. */
function styledAt(text, at, links, depth, unclosed) {
  const marker = text[at];
  if (isWord(text[at - 1]) || !text[at + 1] || SPACE.test(text[at + 1]) || unclosed.has(marker)) return null;
  const end = closing(text, at, marker);
  if (end < 0) {
    unclosed.add(marker);
    return null;
  }
  const children = inline(text.slice(at + 1, end), links, depth + 1);
  return { node: { type: STYLES[marker], children }, end: end + 1 };
}

/** Returns where the marker at `at` is closed; markers in code or angle brackets do not count. */
function closing(text, at, marker) {
  for (let index = at + 1; index < text.length; index += 1) {
    const character = text[index];
    if (character === "\n") return -1;
    if (character === "<" || character === "`") {
      const end = text.indexOf(character === "<" ? ">" : "`", index + 1);
      const line = text.indexOf("\n", index);
      if (end > 0 && (line < 0 || end < line)) index = end;
    } else if (character === marker && index > at + 1 && !SPACE.test(text[index - 1]) && !isWord(text[index + 1])) {
      return index;
    }
  }
  return -1;
}

function isWord(character) {
  return character !== undefined && /[\p{L}\p{N}]/u.test(character);
}
