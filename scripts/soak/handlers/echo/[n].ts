// Echoes the request body while it arrives.
export default (request: Request): Response => new Response(request.body);
