// Starts Swagger UI. A file of its own, because the page's policy allows no script inside it.
"use strict";

window.swagger = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  docExpansion: "none", // the tags; sixty operations at once are no overview
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  persistAuthorization: false, // a token is gone with the page: the machine may be shared
  validatorUrl: null, // the validator would be somebody else's server
});
