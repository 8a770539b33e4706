/**
 * Opens an account, offers two cars, and finds them: the generated TypeScript client at work.
 *
 * `make clients` generates the types, checks this file with them and runs it against a server of its own.
 */
import { randomUUID } from "node:crypto";
import createClient, { type Client } from "openapi-fetch";
import type { Problem, paths, VehicleCreate, VehicleListing, VehicleListingSearchPage } from "./generated/key2key.ts";

type Key2Key = Client<paths>;

const password = "brown-hyena-41-tej";

/** The server answered with a problem document (RFC 9457). */
class Refused extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(`${problem.status} ${problem.code}: ${problem.detail}`);
    this.problem = problem;
  }
}

/** The answer itself; a problem is thrown. */
async function done<T>(answering: Promise<{ data?: T; error?: Problem }>): Promise<T> {
  const { data, error } = await answering;
  if (error) throw new Refused(error);
  if (data === undefined) throw new Error("the server answered nothing");
  return data;
}

/** A client in the name of a new account. */
async function signIn(baseUrl: string): Promise<Key2Key> {
  const client = createClient<paths>({ baseUrl });
  const email = `${randomUUID()}@example.com`;
  await done(client.POST("/api/v1/auth/register", { body: { full_name: "Hana Tesfaye", email, password } }));
  const tokens = await done(
    client.POST("/api/v1/auth/login", {
      body: { username: email, password },
      headers: { "Content-Type": "application/x-www-form-urlencoded" },
    }),
  );
  return createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${tokens.access_token}` } });
}

/** A car that is complete enough to publish; `price` is in cents. */
function car(word: string, price: number): VehicleCreate {
  return {
    title: `Toyota Vitz ${word}`,
    purpose: "sale",
    price: { amount: price, currency: "ETB" },
    location: { country: "ET", city: "Addis Ababa", latitude: 8.99, longitude: 38.79 },
    vehicle: { make: "Toyota", model: "Vitz", model_year: 2012, mileage: 98000, mileage_unit: "km" },
  };
}

/** Every car with this word, dearest first, page by page. */
async function* found(client: Key2Key, word: string): AsyncGenerator<VehicleListing> {
  let cursor: string | null = null;
  do {
    const query: paths["/api/v1/vehicles"]["get"]["parameters"]["query"] = {
      q: word,
      currency: "ETB",
      sort: "price_desc",
      limit: 1,
      ...(cursor === null ? {} : { cursor }),
    };
    const page: VehicleListingSearchPage = await done(client.GET("/api/v1/vehicles", { params: { query } }));
    yield* page.items;
    cursor = page.next_cursor;
  } while (cursor !== null);
}

async function main(address: string): Promise<void> {
  const client = await signIn(address);
  const word = `w${randomUUID().slice(0, 8)}`;
  for (const price of [185_000_000, 179_000_000]) {
    const draft = await done(client.POST("/api/v1/vehicles", { body: car(word, price) }));
    const path = { listing_id: draft.id };
    await done(client.POST("/api/v1/listings/{listing_id}/submit", { params: { path } }));
  }
  const prices: (number | undefined)[] = [];
  for await (const listing of found(client, word)) prices.push(listing.price?.amount);
  console.log("found", prices);
  try {
    await done(client.POST("/api/v1/vehicles", { body: car(word, -1) }));
  } catch (refused) {
    if (!(refused instanceof Refused)) throw refused;
    console.log("refused", refused.problem.code, refused.problem.errors.map((field) => field.pointer));
  }
}

await main(process.argv[2] ?? "http://127.0.0.1:8000");
