import { useState } from "react";
import { Form, useActionData, useLoaderData } from "react-router";

export function loader({ request }: { request: Request }) {
  return { path: new URL(request.url).pathname };
}

export async function action({ request }: { request: Request }) {
  const form = await request.formData();
  const file = form.get("file");
  if (file instanceof File) return { message: `${file.name}: ${file.size} bytes` };
  return { message: `Thanks, ${String(form.get("name"))}` };
}

export default function Home() {
  const { path } = useLoaderData<typeof loader>();
  const result = useActionData<typeof action>();
  const [count, setCount] = useState(0);
  return (
    <>
      <h1>Hello from {path}</h1>
      <button onClick={() => setCount(count + 1)}>count {count}</button>
      <Form method="post" action="/?index">
        <input name="name" />
        <button id="send">Send</button>
      </Form>
      <Form method="post" action="/?index" encType="multipart/form-data">
        <input name="file" type="file" />
        <button id="upload">Upload</button>
      </Form>
      <p id="result">{result?.message}</p>
    </>
  );
}
