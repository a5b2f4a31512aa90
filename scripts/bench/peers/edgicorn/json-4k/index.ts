const items = Array.from({ length: 91 }, (_, id) => ({
  id,
  title: `Item ${id * 7919}`,
  price: (id * 37) / 10,
}));

export default {
  fetch(): Response {
    return Response.json({ items });
  },
};
