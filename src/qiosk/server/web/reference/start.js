// Starts the viewer. Only openapi.json is fetched: no validator, and no requests to the API from the page.
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#reference",
  deepLinking: true,
  validatorUrl: null,
  supportedSubmitMethods: [],
});
