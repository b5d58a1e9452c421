/// Somebody who waits for what the stages make, and since when.
struct Waiter<Value: Sendable>: Sendable {
    private let continuation: CheckedContinuation<Value, any Error>
    /// What is waited for, who takes part in it, and since when by this rank's clock.
    let wait: (task: StageTask, ranks: [Int], since: Int64)

    init(_ continuation: CheckedContinuation<Value, any Error>, for task: StageTask, of ranks: [Int]) {
        self.continuation = continuation
        wait = (task, ranks, MonotonicTime.now())
    }

    func resume(returning value: Value) { continuation.resume(returning: value) }

    func resume(throwing error: any Error) { continuation.resume(throwing: error) }
}
