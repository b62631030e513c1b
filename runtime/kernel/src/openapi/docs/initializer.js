// Starts Swagger UI. `/*urls*/` is replaced by the list of documents, the whole one first.
// The scripts are last on the page, so the elements they need exist, and they need not wait for styles and icons.
{
  const bundle = window.SwaggerUIBundle;
  window.ui = bundle({
    urls: /*urls*/ [],
    dom_id: "#swagger-ui",
    presets: [bundle.presets.apis, window.SwaggerUIStandalonePreset],
    plugins: [bundle.plugins.DownloadUrl, ...window.docsPlugins],
    layout: "StandaloneLayout",
    queryConfigEnabled: true,
    persistAuthorization: true,
    deepLinking: true,
    docExpansion: "none",
    defaultModelsExpandDepth: -1,
    defaultModelRendering: "example",
    displayRequestDuration: true,
    // `x-access` says who may use an operation.
    showExtensions: true,
    filter: true,
    responseInterceptor: window.signedInBy,
    // Otherwise the page would send the document to a validator elsewhere.
    validatorUrl: "none",
  });
}
