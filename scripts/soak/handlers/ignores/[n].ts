// Answers without reading the body.
export default (): Response => new Response("no, thank you", { status: 403 });
