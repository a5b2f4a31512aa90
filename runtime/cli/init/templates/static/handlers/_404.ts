import page from "./_404.html";

/** Answers paths without a file and without a handler. Put handlers for other pages beside this file. */
export default function (): Response {
  return new Response(page, {
    status: 404,
    headers: { "content-type": "text/html; charset=utf-8" },
  });
}
