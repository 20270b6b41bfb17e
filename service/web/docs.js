// Lay out /openapi.json for people.

import { find, make } from "./dom.js";

const nameOf = (reference) => reference.split("/").at(-1);

const typeOf = (schema = {}) => {
  if (schema.$ref) return make("a", { href: `#${nameOf(schema.$ref)}`, textContent: nameOf(schema.$ref) });
  const kinds = (schema.anyOf ?? [schema]).map((one) => (one.type === "null" ? "none" : rangeOf(one)));
  const start = schema.default === undefined || schema.default === null ? "" : `, by default ${schema.default}`;
  return kinds.join(" or ") + start;
};

const rangeOf = (schema) => {
  if (schema.type === "array") return make("span", {}, "list of ", typeOf(schema.items)).textContent;
  if (schema.$ref) return nameOf(schema.$ref);
  const range = schema.minimum === undefined ? "" : ` from ${schema.minimum} to ${schema.maximum ?? "any"}`;
  return `${schema.format === "binary" ? "bytes" : (schema.type ?? "any")}${range}`;
};

const table = (heads, rows) =>
  make(
    "table",
    {},
    make("tr", {}, ...heads.map((head) => make("th", { textContent: head }))),
    ...rows.map((cells) => make("tr", {}, ...cells.map((cell) => make("td", {}, cell ?? "")))),
  );

const operation = (path, method, described) => {
  const parts = [
    make("h2", {}, make("span", { className: "method", textContent: method.toUpperCase() }), make("code", { textContent: path })),
    make("p", { textContent: described.description ?? described.summary }),
  ];
  const parameters = (described.parameters ?? []).map((one) => [one.name, typeOf(one.schema), one.description]);
  if (parameters.length) parts.push(table(["Parameter", "Type", ""], parameters));
  const bodies = Object.entries(described.requestBody?.content ?? {}).map(([type, { schema }]) => [type, bodyOf(schema)]);
  if (bodies.length) parts.push(table(["Body", ""], bodies));
  const replies = Object.entries(described.responses).map(([status, reply]) => [status, reply.description, schemaOf(reply)]);
  parts.push(table(["Status", "", ""], replies));
  return make("section", { className: "card operation" }, ...parts);
};

const bodyOf = (schema) =>
  schema.properties ? `the parts or fields ${Object.keys(schema.properties).join(", ")}` : typeOf(schema);

const schemaOf = (reply) => {
  const [content] = Object.values(reply.content ?? {});
  return content ? typeOf(content.schema) : "";
};

const shape = ([name, schema]) => {
  const fields = Object.entries(schema.properties ?? {}).map(([field, one]) => [field, typeOf(one), one.description]);
  return make(
    "section",
    { className: "card", id: name },
    make("h2", { textContent: name }),
    make("p", { textContent: schema.description ?? "" }),
    table(["Field", "Type", ""], fields),
  );
};

const reply = await fetch("/openapi.json");
const api = await reply.json();
const operations = Object.entries(api.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, described]) => operation(path, method, described)),
);
find("api").append(make("p", { textContent: api.info.description }), ...operations, ...Object.entries(api.components.schemas).map(shape));
