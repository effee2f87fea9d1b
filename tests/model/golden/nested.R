# The columns that R makes of bases inside functions, of the data in designs.json.
# Run in this folder: Rscript nested.R. It writes nested.json, which the tests read; base R and jsonlite are enough.
suppressPackageStartupMessages({
  library(jsonlite)
  library(splines)
})
recorded <- fromJSON("designs.json")
data <- as.data.frame(recorded$data, stringsAsFactors = FALSE)
center <- function(x) scale(x, scale = FALSE)

formulas <- c(
  "y ~ scale(poly(x, 2))", "y ~ scale(poly(x, 1))", "y ~ center(bs(x, 4))", "y ~ scale(ns(z, 3)) + f", "y ~ abs(poly(x, 2))",
  "y ~ exp(bs(x, df = 3))", "y ~ sqrt(bs(z, 5))", "y ~ log1p(bs(x, 3))", "y ~ I(poly(x, 2))", "y ~ I(poly(x, 2) * z)",
  "y ~ I(z * poly(x, 2))", "y ~ I(z - poly(x, 2))", "y ~ I(-poly(x, 2))", "y ~ I(poly(x, 2)^2)", "y ~ I(2^poly(x, 2))",
  "y ~ I(poly(x, 2)/z)", "y ~ I(poly(x, 2) + poly(z, 2))", "y ~ I(bs(x, 3) * ns(z, 3))", "y ~ scale(scale(bs(x, 3)))",
  "y ~ scale(exp(poly(x, 2)))", "y ~ scale(poly(x, 2)):z", "y ~ scale(poly(x, 2)) * d", "y ~ 0 + f:scale(poly(x, 2))",
  "y ~ poly(poly(x, 1), 2)", "y ~ poly(scale(x), 2)", "y ~ bs(poly(x, 1), 3)", "y ~ ns(scale(log(z)), 2)", "y ~ x + offset(poly(x, 1))",
  "y ~ x + offset(abs(poly(z, 1)))", "scale(poly(y, 1)) ~ x", "scale(y) ~ poly(x, 2)"
)
cases <- lapply(formulas, function(text) {
  frame <- model.frame(as.formula(text), data)
  X <- model.matrix(as.formula(text), data)
  list(
    formula = text, columns = I(colnames(X)), x = signif(unname(array(X, dim(X))), 12),
    offset = if (is.null(model.offset(frame))) NULL else signif(as.vector(model.offset(frame)), 12),
    y = signif(as.vector(model.response(frame)), 12)
  )
})
write_json(cases, "nested.json", digits = NA, auto_unbox = TRUE, null = "null")
