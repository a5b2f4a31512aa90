import { createSchema, createYoga } from "graphql-yoga";

const yoga = createYoga({
  graphqlEndpoint: "/graphql",
  schema: createSchema({
    typeDefs: /* GraphQL */ `
      scalar File
      type Query {
        hello(name: String = "world"): String!
      }
      type Mutation {
        upload(file: File!): String!
      }
      type Subscription {
        countdown(from: Int!): Int!
      }
    `,
    resolvers: {
      Query: { hello: (_, { name }) => `Hello, ${name}!` },
      Mutation: {
        upload: async (_, { file }: { file: File }) =>
          `${file.name}: ${((await file.bytes?.()) ?? (await file.arrayBuffer())).byteLength} bytes`,
      },
      Subscription: {
        countdown: {
          async *subscribe(_, { from }) {
            for (let n = from; n >= 0; n--) yield { countdown: n };
          },
        },
      },
    },
  }),
});

export default yoga;
