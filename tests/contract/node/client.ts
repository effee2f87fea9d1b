// A client as openapi-typescript makes it with its defaults: it compiles under --strict, and does the main job.

import createClient from "openapi-fetch"
import type { components, paths } from "./schema"

type Schemas = components["schemas"]
type Columns = NonNullable<Schemas["Data"]["columns"]>

// The least that is correct: all else has defaults, and is left out.
export const least: Schemas["FitRequest"] = { formula: "y ~ x", data: { columns: { x: [1, 2], y: [3, null] } } }
export const prior: Schemas["Prior"] = { class: "b", prior: "normal(0, 10)" }
export const rows: Schemas["PredictionRequest"] = { data: { records: [{ x: 1 }] } }
export const batch: Schemas["BatchRequest"] = { template: least, split_by: "g" }
export const members: Schemas["BatchRequest"] = { fits: [{ formula: "y ~ x", dataset: "ds_a", custom_id: "a" }] }
export const check: Schemas["ModelRequest"] = { formula: "y ~ x", family: { name: "poisson" } }
export const link: Schemas["LinkRequest"] = { paths: ["/v1/fits/fit_a"] }
// @ts-expect-error a word that no request has
export const wrong: Schemas["Sampler"] = { chain: 4 }

declare const process: { argv: string[] }
const [, , baseUrl, token, formula, columns, newRows] = process.argv
const client = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${token}` } })

function found<T>(answer: { data?: T; error?: unknown }): T {
    if (answer.data === undefined) throw new Error(JSON.stringify(answer.error))
    return answer.data
}

// What comes in several formats is JSON, or the text or bytes of another one.
function asJson<T>(answer: T | string): T {
    if (typeof answer === "string") throw new Error("not JSON")
    return answer
}

async function main(): Promise<void> {
    const data = { columns: JSON.parse(columns) as Columns }
    const submitted = found(await client.POST("/v1/fits", { body: { formula, data, sampler: { seed: 11 } } }))
    const path = { fit_id: submitted.id }
    const fit = found(await client.GET("/v1/fits/{fit_id}", { params: { path, header: { Prefer: "wait=30" } } }))

    const summary = asJson(found(await client.GET("/v1/fits/{fit_id}/summary", { params: { path } })))
    const names: string[] = summary.population.map(row => row.name)
    const mean: number | null = summary.population[0].mean

    const asked = { data: { columns: JSON.parse(newRows) as Columns }, new_levels: "sample" as const }
    const predicted = asJson(
        found(await client.POST("/v1/fits/{fit_id}/predictions", { params: { path }, body: asked })),
    )

    const csv = found(
        await client.GET("/v1/fits/{fit_id}/summary", {
            params: { path },
            headers: { Accept: "text/csv" },
            parseAs: "text",
        }),
    )
    const plot = { params: { path: { ...path, extension: "svg" as const } }, parseAs: "text" as const }
    const svg = found(await client.GET("/v1/fits/{fit_id}/plots/intervals.{extension}", plot))

    const missing = await client.GET("/v1/fits/{fit_id}/summary", { params: { path: { fit_id: `fit_${"a".repeat(26)}` } } })
    const problem: string | undefined = missing.error?.type

    console.log(
        JSON.stringify({ status: fit.status, names, mean, predicted: predicted.mean?.length, csv, svg, problem }),
    )
}

if (baseUrl !== undefined) void main()
