/// First in, first out; an element that was taken is kept by nobody here, so what it holds can be freed.
package struct Queue<Element> {
    /// The oldest elements, the oldest last.
    private var front: [Element] = []
    /// The newest elements, the newest last.
    private var back: [Element] = []

    package init() {}

    package var isEmpty: Bool { front.isEmpty && back.isEmpty }
    package var count: Int { front.count + back.count }

    /// The element that has waited longest.
    package var first: Element? { front.last ?? back.first }

    package mutating func append(_ element: Element) { back.append(element) }

    package mutating func popFirst() -> Element? {
        if front.isEmpty {
            front = back.reversed()
            back = []
        }
        return front.popLast()
    }

    /// All elements in order; leaves the queue empty.
    package mutating func takeAll() -> [Element] {
        defer { self = Queue() }
        return front.reversed() + back
    }
}
