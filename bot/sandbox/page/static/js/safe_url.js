/** Which addresses a link may lead to. */

/** The address if it is http or https and well formed, else null: a `javascript:` link must stay text. */
export function safeUrl(text) {
  if (typeof text !== "string") return null;
  try {
    const url = new URL(text);
    return url.protocol === "https:" || url.protocol === "http:" ? url.href : null;
  } catch {
    return null; // new URL() has no other way to say "this is none"
  }
}

/** Attributes of every link that leaves the page. */
export const LEAVING = { target: "_blank", rel: "noopener noreferrer" };
