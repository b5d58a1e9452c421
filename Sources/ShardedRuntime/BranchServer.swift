import Failures
import MessagePassing

/// What every rank but 0 does: it serves the branches that the plan gives it, until rank 0 says stop.
public struct BranchServer: Sendable {
    private let communicator: any Communicator
    private let worker: BranchWorker

    /// - Parameter thread: where the evaluator computes.
    public init(communicator: any Communicator, evaluator: any BranchEvaluator, thread: DedicatedThread) {
        self.communicator = communicator
        worker = BranchWorker(evaluator: evaluator, thread: thread)
    }

    /// Serves rank 0's requests in the order in which they come; returns when it says stop.
    ///
    /// What the evaluator throws goes to rank 0 as an answer, with this rank and its machine in the message, and is
    /// thrown there. Throws only when the conversation itself fails.
    public func run() async throws {
        while true {
            let bytes = try await communicator.receive(from: 0, tag: BranchRequest.tag)
            let (number, request) = try BranchRequest.decode(bytes)
            if request == .stop { return }
            guard let reply = await answer(request) else { continue }
            try await communicator.send(try reply.encoded(), to: 0, tag: BranchRequest.replyTag(number))
        }
    }

    private func answer(_ request: BranchRequest) async -> BranchReply? {
        do {
            switch request {
            case .prepare(let branch, let inputs):
                try await worker.prepare(branch, inputs)
                return .done
            case .noise(let evaluation):
                return .latent(try await worker.noise(evaluation))
            case .noiseKeepingPullback(let evaluation, let pass):
                return .latent(try await worker.noise(evaluation, keepingPullbackAs: pass))
            case .pullback(let pass, let gradient):
                return .latent(try await worker.pullback(pass, gradient: gradient))
            case .discard(let pass):
                worker.discard(pass)
                return nil
            case .report:
                return .report(try await RankReport(of: communicator, worker))
            case .stop:
                return nil
            }
        } catch {
            let failure = error as? Failure ?? .internalFault("unexpected error: \(error)")
            let place = "rank \(communicator.rank) on \(communicator.hostName)"
            return .failure(Failure(failure.kind, "\(place): \(failure.message)"))
        }
    }
}
