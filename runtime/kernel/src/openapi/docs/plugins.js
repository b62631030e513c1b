// What Swagger UI lacks for a document of some hundred operations.
(() => {
  "use strict";

  /** Every `$ref` inside of a value. */
  function references(value, found) {
    if (Array.isArray(value)) value.forEach((one) => references(one, found));
    else if (value && typeof value === "object") {
      if (typeof value.$ref === "string") found.add(value.$ref);
      // The mappings of discriminators are references by another name.
      Object.values(value).forEach((one) => references(one, found));
    }
    return found;
  }

  const keys = (pointer) =>
    pointer.slice(2).split("/").map((key) => decodeURIComponent(key).replace(/~1/g, "/").replace(/~0/g, "~"));
  const at = (value, path) => path.reduce((inner, key) => inner?.[key], value);

  function put(target, path, value) {
    path.forEach((key, index) => {
      if (index === path.length - 1) target[key] = value;
      else target = target[key] ??= {};
    });
  }

  const followed = (document, value) => (value?.$ref ? at(document, keys(value.$ref)) : value);

  /** An operation on one object, with the id of the example that the list of such objects shows: something to try it out with. */
  function withExample(document, path, operation) {
    const end = path[1].indexOf("/{id}");
    const list = followed(document, document.paths[path[1].slice(0, end)]?.get?.responses?.["200"]);
    const page = followed(document, list?.content?.["application/json"]?.schema);
    const one = followed(document, page?.properties?.data?.items);
    const id = (followed(document, one?.allOf?.[0]) ?? one)?.example?.id;
    if (end < 0 || !id || !operation.parameters) return operation;
    const parameters = operation.parameters.map((given) => {
      const parameter = followed(document, given);
      return parameter.name === "id" && parameter.in === "path" ? { ...parameter, example: id } : given;
    });
    return { ...operation, parameters };
  }

  /** The document with nothing but one part of it and what that refers to. */
  function cut(document, path) {
    const small = { openapi: document.openapi, info: document.info, servers: document.servers, paths: {} };
    const isOperation = path.length === 3 && path[0] === "paths";
    const part = isOperation ? withExample(document, path, at(document, path)) : at(document, path);
    put(small, path, part);
    const seen = new Set();
    let open = references(part, new Set());
    while (open.size > 0) {
      const next = new Set();
      for (const pointer of open) {
        if (seen.has(pointer) || !pointer.startsWith("#/")) continue;
        seen.add(pointer);
        const target = at(document, keys(pointer));
        put(small, keys(pointer), target);
        references(target, next);
      }
      open = next;
    }
    return small;
  }

  /**
   * Swagger UI reads the whole document anew for each operation that is opened, and once when the page is: seconds. What one operation
   * refers to is read in some milliseconds.
   */
  const quick = (system) => {
    const resolve = system.fn.resolveSubtree;
    // A reader of YAML, which it would be, takes ten times as long.
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
        resolveSubtree: (document, path, options) =>
          path.length > 0 && at(document, path) !== undefined
            ? resolve(cut(document, path), path, options)
            : resolve(document, path, options),
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
      // What is found is shown, not only the tags it is under.
      OperationTag: (Original, { React, layoutSelectors }) => (props) => {
        const filter = layoutSelectors.currentFilter();
        const searched = typeof filter === "string" && filter.trim().length > 1;
        const config = searched ? () => ({ ...props.getConfigs(), docExpansion: "list" }) : props.getConfigs;
        // With a key of its own: whether a tag is folded is decided where it appears.
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
        // Where the document has no words for it, the example has: its title. What `default` is has no example of its own.
        const example = props.response.getIn(["content", "application/problem+json", "example", "title"]);
        const title = props.code === "default" ? "Any other problem" : example;
        const description = String(props.response.get("description") || title || "").split("\n")[0];
        // What is folded is not made: examples and their colours take most of the time.
        const inside = isOpen && h("table", { className: "responses-table" }, h("tbody", null, h(Original, props)));
        return h("tr", { className: "response", "data-code": props.code },
          h("td", { className: "response-col_status" }, props.code),
          h("td", { className: "response-col_description", colSpan: 2 },
            h("details", { onToggle: (event) => setOpen(event.currentTarget.open) }, h("summary", null, description), inside)));
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

  window.docsPlugins = [quick, search, shortErrors];
})();
