/// What waits to be sent to one rank, in order: no more than a bound of bytes is given to MPI at a time.
///
/// MPI keeps a list of everything it was given and walks through it; a rank that is slow to receive must not make that
/// list long. How many messages wait here is for the layer above to bound, by credits: it alone knows what its
/// receiver can hold.
package struct SendQueue<Item> {
    private var waiting = Queue<(item: Item, bytes: Int)>()
    private var bytesUnderWay = 0
    private let bound: Int

    package init(bound: Int) { self.bound = bound }

    package var isEmpty: Bool { waiting.isEmpty }

    package mutating func append(_ item: Item, bytes: Int) { waiting.append((item, bytes)) }

    /// The next item, when the bound has room for it; one that is larger than the bound goes alone.
    package mutating func popNext() -> Item? {
        guard let next = waiting.first, bytesUnderWay == 0 || next.bytes <= bound - bytesUnderWay else { return nil }
        bytesUnderWay += next.bytes
        return waiting.popFirst()?.item
    }

    /// An item of so many bytes was sent.
    package mutating func finish(bytes: Int) { bytesUnderWay -= bytes }

    package mutating func takeAll() -> [Item] { waiting.takeAll().map(\.item) }
}
