import Synchronization

/// Gives 1, 2, 3, … to whoever asks, each number once.
final class NumberSequence: Sendable {
    private let last = Atomic<UInt64>(0)

    func next() -> UInt64 { last.add(1, ordering: .relaxed).newValue }
}
