// Starts Swagger UI. A file of its own, because the page's policy allows no script inside it.
"use strict";

const contract = new URL("openapi.json", document.baseURI);

fetch(contract)
  .then((response) => response.json())
  .then((spec) => {
    // The contract does not know under which path a proxy publishes the service; its own address does.
    spec.servers[0].url = new URL(".", contract).href.slice(0, -1);
    window.swagger = SwaggerUIBundle({
      spec,
      dom_id: "#docs",
      deepLinking: true,
      docExpansion: "none", // the tags; sixty operations at once are no overview
      defaultModelsExpandDepth: 0,
      showExtensions: true, // such as `x-problem-codes`: the codes with which an operation refuses
      displayRequestDuration: true,
      persistAuthorization: false, // a token is gone with the page: the machine may be shared
      validatorUrl: null, // the validator would be somebody else's server
    });
  });
