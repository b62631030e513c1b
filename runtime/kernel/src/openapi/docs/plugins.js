// Plugins that make Swagger UI usable with a document of several hundred operations (ADR 48).
(() => {
  "use strict";

  const keys = (pointer) =>
    pointer.slice(2).split("/").map((key) => decodeURIComponent(key).replace(/~1/g, "/").replace(/~0/g, "~"));
  const at = (value, path) => path.reduce((inner, key) => inner?.[key], value);

  const followed = (document, value) => (value?.$ref ? at(document, keys(value.$ref)) : value);

  /** A property of a schema, or of one of those that it is made of. */
  function property(document, schema, name) {
    const whole = followed(document, schema);
    const parts = [whole, ...(whole?.allOf ?? []).map((part) => followed(document, part))];
    return parts.map((part) => part?.properties?.[name]).find(Boolean);
  }

  /** An operation on one object, with the id of the example that the list of such objects shows: something to try it out with. */
  function withExample(document, path, operation) {
    const end = path[1].indexOf("/{id}");
    const list = followed(document, document.paths[path[1].slice(0, end)]?.get?.responses?.["200"]);
    const data = property(document, list?.content?.["application/json"]?.schema, "data");
    const id = property(document, data?.items, "id")?.example;
    if (end < 0 || !id || !operation.parameters) return operation;
    const parameters = operation.parameters.map((given) => {
      const parameter = followed(document, given);
      return parameter.name === "id" && parameter.in === "path" ? { ...parameter, example: id } : given;
    });
    return { ...operation, parameters };
  }

  /** One schema of all that have to hold together. */
  function joined({ allOf, ...rest }) {
    const both = (one, other, key, join) => (one[key] || other[key] ? { [key]: join(one[key], other[key]) } : {});
    return [...allOf, rest].reduce((one, other) => ({
      ...one,
      ...other,
      ...both(one, other, "properties", (a, b) => ({ ...a, ...b })),
      ...both(one, other, "required", (a = [], b = []) => [...new Set([...a, ...b])]),
    }));
  }

  /**
   * A part of the document with what it refers to in its place. All references of our document lead to itself and nothing recurses, which a
   * test holds; where one would, it stays.
   */
  function resolver(document) {
    const known = new Map();
    const open = new Set();
    const target = (pointer) => {
      if (!known.has(pointer)) {
        open.add(pointer);
        known.set(pointer, resolved(at(document, keys(pointer))));
        open.delete(pointer);
      }
      return known.get(pointer);
    };
    function resolved(value) {
      if (Array.isArray(value)) return value.map(resolved);
      if (!value || typeof value !== "object") return value;
      const { $ref, ...beside } = value;
      const own = Object.fromEntries(Object.entries(beside).map(([key, inner]) => [key, resolved(inner)]));
      if (typeof $ref === "string" && $ref.startsWith("#/") && !open.has($ref)) {
        // Swagger UI displays the name of a schema from `$$ref`.
        return { ...target($ref), ...own, $$ref: $ref };
      }
      return Array.isArray(own.allOf) ? joined(own) : typeof $ref === "string" ? value : own;
    }
    return resolved;
  }

  /**
   * Swagger UI takes the whole document to pieces for each operation that is opened, and once when the page is: seconds. What one operation
   * refers to is put together here in some milliseconds.
   */
  const quick = (system) => {
    const resolve = system.fn.resolveSubtree;
    // Swagger UI would use a YAML parser, which takes ten times as long.
    const parseToJson = (original) => (text) => {
      let json;
      try {
        json = JSON.parse(text);
      } catch {
        return original(text);
      }
      return system.getSystem().specActions.updateJsonSpec(json);
    };
    return {
      statePlugins: { spec: { wrapActions: { parseToJson } } },
      fn: {
        resolveSubtree: async (document, path, options) => {
          const part = path.length > 0 ? at(document, path) : undefined;
          if (part === undefined) return resolve(document, path, options);
          const isOperation = path.length === 3 && path[0] === "paths";
          const shown = isOperation ? withExample(document, path, part) : part;
          return { spec: resolver(document)(shown), errors: [] };
        },
      },
    };
  };

  /** The filter looks at paths, summaries and names of operations, not at tags alone: all words, wherever they stand. */
  const search = () => ({
    fn: {
      opsFilter: (tags, phrase) => {
        const words = phrase.toLowerCase().split(/\s+/).filter(Boolean);
        return tags
          .map((group, tag) =>
            group.update("operations", (operations) =>
              operations.filter((operation) => {
                const inner = operation.get("operation");
                const text = [tag, operation.get("method"), operation.get("path"), inner.get("summary"), inner.get("operationId")];
                const said = text.join(" ").toLowerCase();
                return words.every((word) => said.includes(word));
              }),
            ),
          )
          .filter((group) => group.get("operations").size > 0);
      },
    },
    wrapComponents: {
      // During a search the matching operations are shown, not only their tags.
      OperationTag: (Original, { React, layoutSelectors }) => (props) => {
        const filter = layoutSelectors.currentFilter();
        const searched = typeof filter === "string" && filter.trim().length > 1;
        const config = searched ? () => ({ ...props.getConfigs(), docExpansion: "list" }) : props.getConfigs;
        // A separate key makes a new component, since a tag is folded or unfolded only when it is created.
        return React.createElement(Original, { ...props, getConfigs: config, key: searched ? "found" : "all" });
      },
    },
  });

  /** Answers with an error are one line each, to be unfolded: a page is about what an operation does. */
  const shortErrors = () => ({
    wrapComponents: {
      response: (Original, { React }) => (props) => {
        const [isOpen, setOpen] = React.useState(false);
        const isError = !/^[123]/.test(props.code);
        if (!isError) return React.createElement(Original, props);
        const h = React.createElement;
        // If the document has no description, use the title of the example; `default` has no example.
        const example = props.response.getIn(["content", "application/problem+json", "example", "title"]);
        const title = props.code === "default" ? "Any other problem" : example;
        const description = String(props.response.get("description") || title || "").split("\n")[0];
        // Folded content is not rendered, because rendering examples and their colours takes most of the time.
        const inside = isOpen && h("table", { className: "responses-table" }, h("tbody", null, h(Original, props)));
        return h("tr", { className: "response", "data-code": props.code },
          h("td", { className: "response-col_status" }, props.code),
          h("td", { className: "response-col_description", colSpan: 2 },
            h("details", { onToggle: (event) => setOpen(event.currentTarget.open) }, h("summary", null, description), inside)));
      },
    },
  });

  /**
   * Most descriptions are a sentence with names in backticks. The reader of Markdown, with what takes scripts out of its result, takes a
   * millisecond or more for each, and a page has hundreds.
   */
  const plainTexts = () => ({
    wrapComponents: {
      Markdown: (Original, { React }) => (props) => {
        const text = props.source;
        const isPlain = typeof text === "string" && !/[\n*_[\]<>#|&\\~]|:\/\/|^\s*(-|\d+\.)\s/.test(text.replace(/`[^`]*`/g, ""));
        if (!isPlain) return React.createElement(Original, props);
        const parts = text.split("`").map((part, index) => (index % 2 ? React.createElement("code", { key: index }, part) : part));
        return React.createElement("div", { className: "markdown" }, React.createElement("p", null, parts));
      },
      // A folded tag shows only the first paragraph of its description; the rest explains the names in rules.
      OperationTag: (Original, { React, layoutSelectors }) => (props) => {
        const description = ["tagDetails", "description"];
        const text = props.tagObj.getIn(description);
        const isOpen = layoutSelectors.isShown(["operations-tag", props.tag], false);
        const short = isOpen || !text ? props.tagObj : props.tagObj.setIn(description, text.split("\n\n")[0]);
        return React.createElement(Original, { ...props, tagObj: short });
      },
    },
  });

  /** Whoever signs in by trying out that operation is signed in for the others too. */
  window.signedInBy = (answer) => {
    const token = answer.ok && answer.body?.token_type === "Bearer" && answer.body.access_token;
    if (token) {
      const schema = { type: "http", scheme: "bearer" };
      window.ui.authActions.authorizeWithPersistOption({ bearer: { name: "bearer", schema, value: token } });
    }
    return answer;
  };

  window.docsPlugins = [quick, search, shortErrors, plainTexts];
})();
