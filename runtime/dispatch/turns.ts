import { Link, LinkedList } from "../lib/linked-list.ts";

/** The origin of an item. */
export interface Origin {
  /** The network of the client. */
  address: string;
  /** The identity of the connection. Items with the same one keep their order. */
  connection: object;
}

/** The prospects of an item that is about to wait. */
export interface Outlook {
  /** Most waiting items that go before it, if no further item arrives. */
  ahead: number;
  /** The longest present wait among the heads on its path: of the addresses, of its address, of its connection. */
  waitsMs: number;
}

/**
 * A queue in which origins take turns. All operations take constant time.
 *
 *     addresses, in turns ──▶ connections of one address, in turns ──▶ items of one connection, in their order
 *
 * While n addresses have items, each of them has every n-th turn, and its connections share its turns alike. With one
 * connection, and with one item for each connection of one address, the order is that of arrival.
 *
 * Invariants: each address and each connection here has items. An origin without items leaves no memory, and joins at
 * the end when it comes again.
 */
export class Turns<T> {
  readonly #places = new Map<T, Place<T>>();
  /** All items in their order of arrival. */
  readonly #all = new LinkedList<Place<T>>();
  readonly #addresses = new Map<string, Address<T>>();
  readonly #ring = new LinkedList<Address<T>>();

  get size(): number {
    return this.#all.size;
  }

  /** The item that has waited for the longest time. */
  get oldest(): T | undefined {
    return this.#all.first?.item;
  }

  /** The item whose turn is next. */
  get next(): T | undefined {
    return this.#next()?.item;
  }

  /** Adds an item that is not here. */
  push(item: T, origin: Origin, nowMs: number): void {
    let address = this.#addresses.get(origin.address);
    if (address === undefined) {
      address = new Address<T>(origin.address, nowMs);
      this.#addresses.set(address.name, address);
      this.#ring.append(address.link);
    }
    let connection = address.connections.get(origin.connection);
    if (connection === undefined) {
      connection = new Connection<T>(origin.connection, address, nowMs);
      address.connections.set(connection.key, connection);
      address.ring.append(connection.link);
    }
    const place = new Place(item, connection, nowMs);
    connection.places.append(place.inConnection);
    this.#all.append(place.inAll);
    this.#places.set(item, place);
    address.size++;
  }

  /** Takes the item whose turn is next. Its connection and its address go to the end. */
  shift(nowMs: number): T | undefined {
    const place = this.#next();
    if (place === undefined) return undefined;
    const { connection } = place;
    const { address } = connection;
    this.#drop(place);
    if (connection.places.size > 0) {
      connection.turnMs = nowMs;
      address.ring.moveToEnd(connection.link);
    }
    if (address.size > 0) {
      address.turnMs = nowMs;
      this.#ring.moveToEnd(address.link);
    }
    return place.item;
  }

  /** Removes an item, if it is here. Its origin keeps its turn while it has other items. */
  remove(item: T): void {
    const place = this.#places.get(item);
    if (place !== undefined) this.#drop(place);
  }

  /** Returns the prospects of an item of this origin that would arrive now. */
  outlook(origin: Origin, nowMs: number): Outlook {
    const first = this.#ring.first;
    if (first === undefined) return { ahead: 0, waitsMs: 0 };
    const address = this.#addresses.get(origin.address);
    const connection = address?.connections.get(origin.connection);
    const own = connection?.places.size ?? 0;
    const connections = (address?.ring.size ?? 0) + (connection === undefined ? 1 : 0);
    // Until the turn of the item, no other connection has more turns than its own.
    const inAddress = Math.min(address?.size ?? 0, (own + 1) * connections - 1);
    const addresses = this.#ring.size + (address === undefined ? 1 : 0);
    const sinceMs = Math.min(
      first.turnMs,
      address?.ring.first?.turnMs ?? Infinity,
      connection?.places.first?.sinceMs ?? Infinity,
    );
    return {
      ahead: Math.min(this.size, (inAddress + 1) * addresses - 1),
      waitsMs: nowMs - sinceMs,
    };
  }

  #next(): Place<T> | undefined {
    return this.#ring.first?.ring.first?.places.first;
  }

  #drop(place: Place<T>): void {
    const { connection } = place;
    const { address } = connection;
    this.#places.delete(place.item);
    this.#all.remove(place.inAll);
    connection.places.remove(place.inConnection);
    if (connection.places.size === 0) {
      address.connections.delete(connection.key);
      address.ring.remove(connection.link);
    }
    if (--address.size === 0) {
      this.#addresses.delete(address.name);
      this.#ring.remove(address.link);
    }
  }
}

class Address<T> {
  readonly name: string;
  readonly connections = new Map<object, Connection<T>>();
  readonly ring = new LinkedList<Connection<T>>();
  readonly link = new Link<Address<T>>(this);
  /** Number of items of all its connections. */
  size = 0;
  /** Time of its last turn; before the first one, of its first item. */
  turnMs: number;

  constructor(name: string, nowMs: number) {
    this.name = name;
    this.turnMs = nowMs;
  }
}

class Connection<T> {
  readonly key: object;
  readonly address: Address<T>;
  readonly places = new LinkedList<Place<T>>();
  readonly link = new Link<Connection<T>>(this);
  /** As of an address. */
  turnMs: number;

  constructor(key: object, address: Address<T>, nowMs: number) {
    this.key = key;
    this.address = address;
    this.turnMs = nowMs;
  }
}

class Place<T> {
  readonly item: T;
  readonly connection: Connection<T>;
  readonly sinceMs: number;
  readonly inConnection = new Link<Place<T>>(this);
  readonly inAll = new Link<Place<T>>(this);

  constructor(item: T, connection: Connection<T>, sinceMs: number) {
    this.item = item;
    this.connection = connection;
    this.sinceMs = sinceMs;
  }
}
