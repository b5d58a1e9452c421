import DiffusionModels
import Failures
import MessagePassing

/// Where a branch is evaluated, seen from rank 0.
protocol BranchHost: Sendable {
    func prepare(_ branch: GuidanceBranch, _ inputs: BranchInputs) async throws
    func noise(_ evaluation: Evaluation) async throws -> Latent
    func noise(_ evaluation: Evaluation, keepingPullbackAs pass: PassIdentity) async throws -> Latent
    func pullback(_ pass: PassIdentity, gradient: Latent) async throws -> Latent
    func discard(_ pass: PassIdentity)
}

extension BranchWorker: BranchHost {}

/// A branch that another rank evaluates: each call is a request to that rank and its answer.
struct RemoteBranchHost: BranchHost {
    let communicator: any Communicator
    let rank: Int
    let numbers: NumberSequence

    func prepare(_ branch: GuidanceBranch, _ inputs: BranchInputs) async throws {
        guard case .done = try await ask(.prepare(branch, inputs)) else { throw unexpected() }
    }

    func noise(_ evaluation: Evaluation) async throws -> Latent {
        try latent(in: try await ask(.noise(evaluation)), like: evaluation.latent)
    }

    func noise(_ evaluation: Evaluation, keepingPullbackAs pass: PassIdentity) async throws -> Latent {
        try latent(in: try await ask(.noiseKeepingPullback(evaluation, pass)), like: evaluation.latent)
    }

    func pullback(_ pass: PassIdentity, gradient: Latent) async throws -> Latent {
        try latent(in: try await ask(.pullback(pass, gradient: gradient)), like: gradient)
    }

    func discard(_ pass: PassIdentity) { tell(.discard(pass)) }

    func report() async throws -> RankReport {
        guard case .report(let report) = try await ask(.report) else { throw unexpected() }
        return report
    }

    func stop() { tell(.stop) }

    private func tell(_ request: BranchRequest) {
        communicator.post(request.encoded(number: numbers.next()), to: rank, tag: BranchRequest.tag)
    }

    private func ask(_ request: BranchRequest) async throws -> BranchReply {
        let number = numbers.next()
        let replyTag = BranchRequest.replyTag(number)
        communicator.post(request.encoded(number: number), to: rank, tag: BranchRequest.tag)
        do {
            let reply = try BranchReply(
                decoding: try await communicator.receive(from: rank, tag: replyTag), from: rank)
            if case .failure(let failure) = reply { throw failure }
            return reply
        } catch let cancellation as CancellationError {
            communicator.dropNext(from: rank, tag: replyTag)
            throw cancellation
        }
    }

    private func latent(in reply: BranchReply, like expected: Latent) throws -> Latent {
        guard case .latent(let latent) = reply, latent.shape == expected.shape else { throw unexpected() }
        return latent
    }

    private func unexpected() -> Failure {
        .internalFault("rank \(rank) gave an answer of another kind or shape than was asked for")
    }
}
