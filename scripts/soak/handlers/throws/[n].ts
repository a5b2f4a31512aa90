// Reads the available part of its body, then fails.
export default async (request: Request): Promise<Response> => {
  await request.body?.getReader().read();
  throw new Error("thrown by the soak");
};
