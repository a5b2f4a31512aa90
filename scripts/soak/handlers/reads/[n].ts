// Reads its body to the end and returns its size.
export default async (request: Request): Promise<Response> => {
  let size = 0;
  for await (const chunk of request.body ?? []) size += (chunk as Uint8Array).length;
  return new Response(String(size));
};
