import Failures
import Synchronization

/// Asks the ranks in use, one after the other, what they did.
final class RankInquiry: Sendable {
    private struct State {
        var reports: [Int: CheckedContinuation<String, any Error>] = [:]
        var traces: [Int: CheckedContinuation<RankTrace, any Error>] = [:]
    }

    private let ranks: Range<Int>
    private let post: StagePost
    private let fault: FaultSign
    private let state = Mutex(State())

    init(ranks: Range<Int>, post: StagePost, fault: FaultSign) {
        self.ranks = ranks
        self.post = post
        self.fault = fault
    }

    /// What every rank did so far, in the order of the ranks.
    func reports() async throws -> [RankReport] {
        var reports: [RankReport] = []
        for rank in ranks {
            let text = try await withCheckedThrowingContinuation { continuation in
                ask(rank, .askReport, continuation) { $0.reports[rank] = continuation }
            }
            reports.append(try RankReport(encodedText: text, from: rank))
        }
        return reports
    }

    /// What every rank took down, in the order of the ranks.
    func traces() async throws -> [RankTrace] {
        var traces: [RankTrace] = []
        for rank in ranks {
            traces.append(
                try await withCheckedThrowingContinuation { continuation in
                    ask(rank, .askTrace, continuation) { $0.traces[rank] = continuation }
                })
        }
        return traces
    }

    private func ask<Value>(
        _ rank: Int, _ question: StageMessage, _ continuation: CheckedContinuation<Value, any Error>,
        keep: (inout State) -> Void
    ) {
        let refusal = state.withLock { state -> Failure? in
            if let failure = fault.failure { return failure }
            keep(&state)
            return nil
        }
        if let refusal { continuation.resume(throwing: refusal) } else { post.send(question, to: rank) }
    }

    func report(_ text: String, from rank: Int) {
        state.withLock { $0.reports.removeValue(forKey: rank) }?.resume(returning: text)
    }

    func trace(_ trace: RankTrace, from rank: Int) {
        state.withLock { $0.traces.removeValue(forKey: rank) }?.resume(returning: trace)
    }

    func fail(_ failure: Failure) {
        let all = state.withLock { state in
            defer { state = State() }
            return state
        }
        for waiter in all.reports.values { waiter.resume(throwing: failure) }
        for waiter in all.traces.values { waiter.resume(throwing: failure) }
    }
}
