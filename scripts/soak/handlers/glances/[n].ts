// Reads the first piece of the body, drops the rest, and answers.
export default async (request: Request): Promise<Response> => {
  const reader = request.body?.getReader();
  await reader?.read();
  await reader?.cancel();
  return new Response("seen enough");
};
