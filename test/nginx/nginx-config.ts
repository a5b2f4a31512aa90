import type { NginxSockets } from "./nginx-server.ts";

export interface NginxFiles {
  /** Folder of the static files. */
  root: string;
  /** File with user names and hashes of passwords. */
  htpasswd: string;
  certificate: string;
  key: string;
}

/** Returns the configuration of Nginx that docs/nginx.md shows, on these sockets. */
export function toNginxConfig(sockets: NginxSockets, files: NginxFiles): string {
  const { root, htpasswd, certificate, key } = files;
  const http = `listen unix:${sockets.http}`;
  const https = `listen unix:${sockets.https}`;
  return `
  types {
    text/html html; text/css css; text/javascript js; text/plain txt; application/json json;
    image/png png; image/svg+xml svg; application/gzip gz;
  }
  default_type application/octet-stream;
  charset utf-8;
  charset_types text/html text/css text/javascript text/plain;
  server_tokens off;
  sendfile on;
  absolute_redirect off;
  ssl_certificate ${certificate};
  ssl_certificate_key ${key};

  gzip on;
  gzip_vary on;
  gzip_min_length 1024;
  gzip_types text/css text/javascript application/json image/svg+xml text/plain;

  set_real_ip_from unix:;
  real_ip_header X-Forwarded-For;
  real_ip_recursive on;

  server {
    ${http} default_server;
    ${https} ssl default_server;
    server_name _;
    return 421;
  }

  server {
    ${http};
    ${https} ssl;
    server_name example.test;
    return 301 http://www.example.test$request_uri;
  }

  server {
    ${http};
    server_name secure.example.test;
    return 301 https://secure.example.test$request_uri;
  }

  server {
    ${https} ssl;
    server_name secure.example.test;
    location / { default_type text/plain; return 200 "secure\\n"; }
  }

  server {
    ${http};
    ${https} ssl;
    server_name *.wild.example.test;
    location / { default_type text/plain; return 200 "wild\\n"; }
  }

  server {
    ${http};
    ${https} ssl;
    server_name www.example.test;
    root ${root};
    index index.html;
    error_page 404 /404.html;
    client_max_body_size 1k;
    add_header X-Content-Type-Options nosniff always;
    set $hsts "";
    if ($https) { set $hsts "max-age=31536000"; }
    add_header Strict-Transport-Security $hsts always;

    location ~ /\\.(?!well-known) { return 404; }
    location = /old { return 301 /new; }
    location /moved/ { rewrite ^/moved/(.*)$ /docs/$1 permanent; }
    location /blog/ { rewrite ^/blog/(\\d+)/(.*)$ /posts/$2-$1 redirect; }
    location = /gone { return 410; }
    location = /teapot { default_type text/plain; return 418 "short and stout\\n"; }
    location /assets/ {
      add_header X-Content-Type-Options nosniff always;
      add_header Strict-Transport-Security $hsts always;
      add_header Cache-Control "public, max-age=31536000, immutable";
    }
    location /private/ {
      auth_basic "Members";
      auth_basic_user_file ${htpasswd};
    }
    location /internal/ { deny all; }
    location /office/ { allow 10.0.0.0/8; deny all; }
    location /files/ { autoindex on; autoindex_format json; }
    location /spa/ { try_files $uri $uri/ /spa/index.html; }
    location = /upload { default_type text/plain; return 200 "uploaded\\n"; }
  }`;
}
