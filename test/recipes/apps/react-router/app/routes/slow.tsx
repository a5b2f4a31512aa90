import { Suspense } from "react";
import { Await, useLoaderData } from "react-router";

export function loader() {
  return { late: new Promise<string>((resolve) => setTimeout(resolve, 200, "came later")) };
}

export default function Slow() {
  const { late } = useLoaderData<typeof loader>();
  return (
    <>
      <h1>At once</h1>
      <Suspense fallback={<p id="late">waiting</p>}>
        <Await resolve={late}>{(text) => <p id="late">{text}</p>}</Await>
      </Suspense>
    </>
  );
}
