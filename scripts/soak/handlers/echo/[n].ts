// Sends back what it is sent, while it is sent.
export default (request: Request): Response => new Response(request.body);
