/** Returns the config file of Edgicorn that docs/nginx.md shows beside that of Nginx. */
export function toEdgicornConfig({ htpasswd, root }: { htpasswd: string; root: string }): string {
  const config = {
    trustedProxies: "loopback",
    unknownHost: "refuse",
    sites: {
      "www.example.test": {
        public: root,
        bodyLimit: "1kb",
        listing: true,
        cacheControl: { "/assets/**": "public, max-age=31536000, immutable", "/**": "off" },
        spa: "spa/index.html",
      },
      "example.test": {},
      "secure.example.test": {},
      "*.wild.example.test": {},
    },
    rules: [
      {
        host: "www.example.test",
        setFields: {
          "x-content-type-options": "nosniff",
          "strict-transport-security": "max-age=31536000",
        },
      },
      {
        host: "example.test",
        redirect: { to: "http://www.example.test/:splat", status: 301 },
        path: "/**",
      },
      {
        host: "secure.example.test",
        scheme: "http",
        path: "/**",
        redirect: { to: "https://secure.example.test/:splat", status: 301 },
      },
      {
        host: "secure.example.test",
        scheme: "https",
        respond: { body: "secure\n", fields: { "content-type": "text/plain; charset=utf-8" } },
      },
      {
        host: "*.wild.example.test",
        respond: { body: "wild\n", fields: { "content-type": "text/plain; charset=utf-8" } },
      },
      { host: "www.example.test", path: "/old", redirect: { to: "/new?", status: 301 } },
      {
        host: "www.example.test",
        path: "/moved/**",
        redirect: { to: "/docs/:splat", status: 301 },
      },
      {
        host: "www.example.test",
        path: "/blog/:year/:slug",
        redirect: { to: "/posts/:slug-:year", status: 302 },
      },
      { host: "www.example.test", path: "/gone", respond: { status: 410 } },
      {
        host: "www.example.test",
        path: "/teapot",
        respond: {
          status: 418,
          body: "short and stout\n",
          fields: { "content-type": "text/plain; charset=utf-8" },
        },
      },
      {
        host: "www.example.test",
        path: "/upload",
        respond: { body: "uploaded\n", fields: { "content-type": "text/plain; charset=utf-8" } },
      },
      {
        host: "www.example.test",
        path: "/private/**",
        basicAuth: { file: htpasswd, realm: "Members" },
      },
      { host: "www.example.test", path: "/internal/**", deny: ["0.0.0.0/0", "::/0"] },
      { host: "www.example.test", path: "/office/**", allow: ["10.0.0.0/8"] },
    ],
  };
  return `export default ${JSON.stringify(config, null, 2)};\n`;
}
