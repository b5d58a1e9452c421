import MessagePassing
import Testing

/// How ranks of one machine wake each other.
@Suite struct DoorbellTests {
    @Test(.timeLimit(.minutes(1))) func everyRingIsHeardWithWhoRang() async throws {
        let bell = try #require(Doorbell())
        let (rings, continuation) = AsyncStream.makeStream(of: Int.self)
        bell.listen { continuation.yield($0) }
        let others = try (0..<3).map { _ in try #require(Doorbell()) }
        var heard = rings.makeAsyncIterator()
        for (rank, other) in others.enumerated() {
            other.ring(bell.name, from: rank + 7)
            #expect(await heard.next() == rank + 7)
        }
    }

    /// Rings that nobody takes must hold up nobody: neither those of a bell that does not listen nor of one that is not
    /// there, or whose name is no name.
    @Test(.timeLimit(.minutes(1))) func ringsInVainReturn() throws {
        let deaf = try #require(Doorbell())
        let bell = try #require(Doorbell())
        for _ in 0..<10_000 { bell.ring(deaf.name, from: 1) }
        bell.ring("pilot-mpi-nobody", from: 1)
        bell.ring("", from: 1)
        bell.ring(String(repeating: "long", count: 100), from: 1)
    }
}
