/// Something that is waited for: what, who takes part in it, and since when by this rank's clock.
struct PendingWait: Sendable {
    let subject: StallReport.Subject
    let ranks: [Int]
    let since: Int64
}

/// Somebody who waits for what the stages make, and since when.
struct Waiter<Value: Sendable>: Sendable {
    private let continuation: CheckedContinuation<Value, any Error>
    let wait: PendingWait

    init(_ continuation: CheckedContinuation<Value, any Error>, for task: StageTask, of ranks: [Int]) {
        self.continuation = continuation
        wait = PendingWait(subject: .task(task), ranks: ranks, since: MonotonicTime.now())
    }

    func resume(returning value: Value) { continuation.resume(returning: value) }

    func resume(throwing error: any Error) { continuation.resume(throwing: error) }
}
