import DiffusionModels
import Failures
import MessagePassing
import Synchronization

/// The networks of a model, on the ranks of a layout: what rank 0 drives, and what the other ranks serve.
public final class ShardedNetwork: Sendable {
    private let driver: StageDriver
    private let server: StageServer

    /// Rank 0's end, with rank 0's own stage. All other ranks `serve`.
    ///
    /// - Parameters:
    ///   - jobsInFlight: the most jobs that a replica works on at once; further ones wait.
    ///   - workers: what computes on this rank.
    ///   - observation: how the ranks are watched; the same on all.
    /// - Precondition: this is rank 0, and there are as many ranks as the layout has, or more.
    public init(
        layout: Layout, jobsInFlight: Int, communicator: any Communicator, workers: StageWorkers,
        observation: Observation = Observation()
    ) {
        precondition(communicator.rank == 0, "rank 0 drives the jobs")
        precondition(communicator.size >= layout.ranks, "the layout must be for ranks that there are")
        guard let place = layout.place(of: 0) else { preconditionFailure("every layout has a rank 0") }
        let clock = RankClock(communicator)
        let post = StagePost(communicator, clock: clock, recorder: observation.recorder)
        let driver = StageDriver(
            layout: layout, jobsInFlight: jobsInFlight, pictureRanks: layout.pictureRanks, post: post)
        server = StageServer(
            position: ChainPosition(place, in: layout), capacity: jobsInFlight * layout.passesOfJob, post: post,
            workers: workers, fault: { driver.fail($0) }, stopped: {})
        self.driver = driver
        clock.open { driver.fail($0) }
        driver.open()
        server.open()
        driver.startWatch(observation)
    }

    /// What every rank but 0 does: it serves its stage until rank 0 says stop. An idle rank returns at once.
    ///
    /// What a task throws goes to rank 0, with this rank and its machine in the message, and is thrown there. Throws
    /// only when the conversation itself fails.
    ///
    /// - Parameter onNotice: hears, on one of the ranks, that rank 0 does not answer.
    public static func serve(
        layout: Layout, jobsInFlight: Int, communicator: any Communicator, workers: StageWorkers,
        observation: Observation = Observation(), onNotice: @escaping @Sendable (StallNotice) -> Void = { _ in }
    ) async throws {
        guard let place = layout.place(of: communicator.rank) else { return }
        let end = End()
        let fault: @Sendable (Failure) -> Void = { end.resume(with: .failure($0)) }
        let clock = RankClock(communicator)
        let server = StageServer(
            position: ChainPosition(place, in: layout), capacity: jobsInFlight * layout.passesOfJob,
            post: StagePost(communicator, clock: clock, recorder: observation.recorder), workers: workers, fault: fault,
            stopped: { end.resume(with: .success(())) })
        server.open()
        clock.open(fault: fault)
        clock.compare(tries: RankClock.tries)
        let watch = ReferenceWatch(
            rank: communicator.rank, clock: clock, observation: observation, notify: onNotice, fault: fault)
        defer { watch.stop() }
        try await end.wait()
    }

    public var layout: Layout { driver.layout }
    /// How many jobs are worked on at once: with fewer, ranks wait for each other.
    public var jobsInFlight: Int { driver.jobsInFlight * layout.replicas }

    /// The UNet for a job with the inputs of its two branches, once there is room for it.
    public func openJob(_ inputs: [BranchInputs]) async throws -> StagePredictor {
        precondition(inputs.count == GuidanceBranch.allCases.count, "inputs for each branch")
        return try await driver.openJob(inputs)
    }

    /// The text encoder's states of a chunk of a prompt, `[1, tokens, width]`.
    public func embed(_ tokens: TokenChunk) async throws -> Latent { try await planes(.embed, .tokens(tokens)) }

    /// z_in of a picture `[3, H, W]` in [-1, 1].
    public func encode(_ picture: Latent) async throws -> Latent { try await planes(.encode, .planes(picture)) }

    /// The picture `[3, H, W]` about [-1, 1] of a latent.
    public func decode(_ latent: Latent) async throws -> Latent { try await planes(.decode, .planes(latent)) }

    /// What a T2I-Adapter makes of its map for each level of the UNet.
    public func features(ofAdapter number: Int, map: Latent) async throws -> [Latent] {
        guard case .made(let features) = try await driver.work(.adapt, .shown(map, to: number)) else {
            throw Failure.internalFault(
                "a T2I-Adapter gave something else than features: are all ranks of one version?")
        }
        return features
    }

    /// What an IP-Adapter makes of a picture `[3, S, S]` in its image encoder's colours.
    public func imageTokens(ofAdapter number: Int, picture: Latent) async throws -> ImageTokens {
        guard case .made(let tokens) = try await driver.work(.see, .shown(picture, to: number)), tokens.count == 2
        else {
            throw Failure.internalFault("an IP-Adapter gave something else than tokens: are all ranks of one version?")
        }
        return ImageTokens(tokens: tokens[0], negativeTokens: tokens[1])
    }

    private func planes(_ work: PictureWork, _ input: PictureValue) async throws -> Latent {
        guard case .planes(let planes) = try await driver.work(work, input) else {
            throw Failure.internalFault("\(work) gave something else than it makes: are all ranks of one version?")
        }
        return planes
    }

    /// What every rank in use did so far, in the order of the ranks.
    public func reports() async throws -> [RankReport] { try await driver.reports() }

    /// What every rank in use took down, on one clock; needs an `observation` that is traced.
    public func trace() async throws -> JobTrace { JobTrace(layout: layout, ranks: try await driver.traces()) }

    /// Has `body` hear, once, why no rank can be asked any more, should it come to that.
    public func onFault(_ body: @escaping @Sendable (Failure) -> Void) { driver.onFault(body) }

    /// Has `body` hear of waits that have grown long, again and again while they do, and of nil when that is over.
    public func onNotice(_ body: @escaping @Sendable (StallNotice?) -> Void) { driver.onNotice(body) }

    /// Lets the other ranks' servers return. Nothing may be asked afterwards.
    public func stop() { driver.stop() }
}

/// The end of a service, which comes once, before or after somebody waits for it.
private final class End: Sendable {
    private struct State {
        var result: Result<Void, any Error>?
        var waiter: CheckedContinuation<Void, any Error>?
    }

    private let state = Mutex(State())

    func resume(with result: Result<Void, any Error>) {
        let waiter = state.withLock { state -> CheckedContinuation<Void, any Error>? in
            guard state.result == nil else { return nil }
            state.result = result
            return state.waiter
        }
        waiter?.resume(with: result)
    }

    func wait() async throws {
        try await withCheckedThrowingContinuation { continuation in
            let result = state.withLock { state -> Result<Void, any Error>? in
                state.waiter = continuation
                return state.result
            }
            if let result { continuation.resume(with: result) }
        }
    }
}
