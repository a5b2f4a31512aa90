export function load({ url, getClientAddress }) {
  return {
    origin: url.origin,
    address: getClientAddress(),
    late: new Promise((resolve) => setTimeout(resolve, 200, "came later")),
  };
}

export const actions = {
  send: async ({ request }) => {
    const form = await request.formData();
    return { message: `Thanks, ${form.get("name")}` };
  },
  upload: async ({ request }) => {
    const file = (await request.formData()).get("file");
    return { message: `${file.name}: ${file.size} bytes` };
  },
};
