/** The URLs that a link may lead to. */

/** Returns the URL if it is http or https and well formed, otherwise null: a `javascript:` link must stay text. */
export function safeUrl(text) {
  if (typeof text !== "string") return null;
  try {
    const url = new URL(text);
    return url.protocol === "https:" || url.protocol === "http:" ? url.href : null;
  } catch {
    return null; // new URL() throws on an invalid URL
  }
}

/** The attributes of every link that leaves the page. */
export const LEAVING = { target: "_blank", rel: "noopener noreferrer" };
