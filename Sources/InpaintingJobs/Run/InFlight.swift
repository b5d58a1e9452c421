/// Runs `body` on every element, started in their order, at most `limit` at a time; the next one starts when any ends.
///
/// The next element is awaited while others run. The first error ends the rest and is thrown, once all have ended.
func forEachInFlight<Elements: AsyncSequence>(
    _ elements: Elements, atMost limit: Int, _ body: @escaping @Sendable (Elements.Element) async throws -> Void
) async throws where Elements.Element: Sendable {
    try await withThrowingTaskGroup(of: Void.self) { group in
        var running = 0
        for try await element in elements {
            if running >= max(1, limit) {
                try await group.next()
                running -= 1
            }
            try Task.checkCancellation()
            group.addTask { try await body(element) }
            running += 1
        }
        try await group.waitForAll()
    }
}

/// As above, for elements that are all there.
func forEachInFlight<Elements: Sequence & Sendable>(
    _ elements: Elements, atMost limit: Int, _ body: @escaping @Sendable (Elements.Element) async throws -> Void
) async throws where Elements.Element: Sendable {
    let stream = AsyncStream<Elements.Element> { continuation in
        for element in elements { continuation.yield(element) }
        continuation.finish()
    }
    try await forEachInFlight(stream, atMost: limit, body)
}
