import page from "./_404.html";

/** Answers what no file and no handler answers. Pages that a program makes are handlers beside this one. */
export default function (): Response {
  return new Response(page, {
    status: 404,
    headers: { "content-type": "text/html; charset=utf-8" },
  });
}
