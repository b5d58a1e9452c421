import DiffusionModels
import Failures
import MessagePassing
import PilotInpainting
import ReplicaSampling
import ShardedRuntime
import Synchronization
import TestSupport
import Testing

/// The sampler on the driver of another replica does what it does on rank 0.
@Suite struct ReplicaSamplingTests {
    /// What came of a run, and the events that were told.
    private struct Outcome {
        let sampled: SampledLatent
        let events: [String]
    }

    private static func text(_ event: PilotEvent) -> String {
        switch event {
        case .initialLatent(let latent): "initial \(latent.fingerprint)"
        case .stepStarted(let step): "started \(step.index)"
        case .latent(let step, let latent): "latent \(step.index) \(latent.fingerprint)"
        case .gradientStep(let step, let number, let loss): "gradient \(step.index) \(number) \(loss)"
        case .optimizedLatent(let step, let latent): "optimized \(step.index) \(latent.fingerprint)"
        case .noise(let step, let first, let second): "noise \(step.index) \(first.fingerprint) \(second.fingerprint)"
        case .reconstructions(let step, let first, let second, let guided):
            "reconstructions \(step.index) \(first.fingerprint) \(second.fingerprint) \(guided.fingerprint)"
        case .stepFinished(let step): "finished \(step.index)"
        case .finalLatent(let latent): "final \(latent.fingerprint)"
        }
    }

    /// Runs on the first replica, or with its room taken on the second.
    private func outcome(
        _ trial: SamplerTrial, isRemote: Bool, pace: ProgressPace = ProgressPace(jobs: 2),
        _ communicators: [LocalCommunicator]? = nil
    ) async throws -> Outcome {
        var ranks = try trial.ranks(replicas: 2, branches: 2)
        ranks.jobsInFlight = 1
        ranks.observation = LocalRanks.leftAlone
        ranks.take = SamplerRun.taker(pace: pace)
        let run = try trial.run(image: 3)
        return try await ranks.withNetwork(communicators) { network in
            let first = isRemote ? try await network.room() : nil
            let room = try await network.room()
            #expect(room.isHere == !isRemote)
            let events = Mutex<[String]>([])
            let sampled = try await run.sampled(in: room) { event in
                let text = Self.text(event)
                events.withLock { $0.append(text) }
            }
            first?.leave()
            return Outcome(sampled: sampled, events: events.withLock { $0 })
        }
    }

    @Test(arguments: [[], .latents, .reconstructions, [.latents, .reconstructions]] as [SamplerRun.Wants])
    func latentLossAndEventsAreThoseOfRankZero(wants: SamplerRun.Wants) async throws {
        var trial = try SamplerTrial()
        trial.wants = wants
        let here = try await outcome(trial, isRemote: false)
        let there = try await outcome(trial, isRemote: true, pace: ProgressPace(every: .zero))
        #expect(there.sampled.latent == here.sampled.latent)
        #expect(there.sampled.loss == here.sampled.loss && here.sampled.loss != nil)
        #expect(there.sampled.gradientSteps.count == here.sampled.gradientSteps.count)
        #expect(there.sampled.denoisingSteps.count == 6)
        let expected = here.events.filter { text in
            let kind = text.prefix { $0 != " " }
            switch kind {
            case "reconstructions": return wants.contains(.reconstructions)
            case "gradient", "finished", "final": return true
            case "started": return wants.contains(.latents) || text == "started 0"
            default: return wants.contains(.latents)
            }
        }
        #expect(there.events == expected)
    }

    @Test func anInitialLatentTravels() async throws {
        var trial = try SamplerTrial()
        trial.initialLatent = Latent(repeating: 0.5, channels: 4, height: 8, width: 9)
        let (here, there) = (try await outcome(trial, isRemote: false), try await outcome(trial, isRemote: true))
        #expect(there.sampled.latent == here.sampled.latent)
        trial.initialLatent = nil
        #expect(try await outcome(trial, isRemote: true).sampled.latent != there.sampled.latent)
    }

    /// Messages between rank 0 and the other replica: the job, its result, the stops, and at a slow pace one of progress,
    /// however many steps there are.
    @Test func progressGoesByTimeAndNotBySteps() async throws {
        var trial = try SamplerTrial()
        var counts: [Int] = []
        for steps in [6, 24] {
            trial.parameters.steps = steps
            let communicators = LocalCommunicator.group(of: 4)
            _ = try await outcome(trial, isRemote: true, pace: ProgressPace(every: .seconds(10_000)), communicators)
            let messages = try await LocalRanks.messages(communicators)
            counts.append(messages.between(0, 2) + messages.between(0, 3))
        }
        #expect(counts == [5, 5])
    }

    /// However many jobs there are, rank 0 hears as often as of sixteen.
    @Test func manyJobsTellMoreRarely() {
        #expect(ProgressPace(jobs: 1).interval == .milliseconds(250))
        #expect(ProgressPace(jobs: 16).interval == .milliseconds(250))
        #expect(ProgressPace(jobs: 1600).interval == .seconds(25))
    }

    @Test func whatIsNotFiniteFailsTheJobAloneWithTheSameWords() async throws {
        var trial = try SamplerTrial()
        trial.parameters.warmupLearningRate = 1e300
        trial.parameters.learningRate = 1e300
        let broken = trial
        let here = await #expect(throws: Failure.self) { try await outcome(broken, isRemote: false) }
        let there = await #expect(throws: Failure.self) { try await outcome(broken, isRemote: true) }
        #expect(here?.message.contains("became NaN or infinite") == true)
        #expect(there?.message == here?.message && there?.kind == here?.kind)
        let sound = try SamplerTrial().run()
        var ranks = try broken.ranks(replicas: 2)
        ranks.jobsInFlight = 1
        ranks.take = SamplerRun.taker(pace: ProgressPace(jobs: 2))
        let run = try broken.run()
        try await ranks.withNetwork { network in
            let first = try await network.room()
            for _ in 0..<2 {
                await #expect(throws: Failure.self) {
                    try await run.sampled(in: try await network.room()) { _ in }
                }
            }
            _ = try await sound.sampled(in: try await network.room()) { _ in }
            #expect(first.isHere)
        }
    }

    @Test func aCancelledJobEndsOnItsDriver() async throws {
        var trial = try SamplerTrial()
        trial.parameters.steps = 900
        var ranks = try trial.ranks(replicas: 2, stages: 2)
        ranks.jobsInFlight = 1
        ranks.take = SamplerRun.taker(pace: ProgressPace(every: .zero))
        let (long, short) = (try trial.run(), try SamplerTrial().run())
        try await ranks.withNetwork { network in
            let first = try await network.room()
            for _ in 0..<3 {
                let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
                let task = Task {
                    try await long.sampled(in: try await network.room()) { _ in continuation.yield() }
                }
                for await _ in stream { break }
                task.cancel()
                let failure = await #expect(throws: Failure.self) { try await task.value }
                #expect(failure?.kind == .interrupted)
            }
            // Its room is free, and nothing is kept.
            _ = try await short.sampled(in: try await network.room()) { _ in }
            #expect(try await network.reports().allSatisfy { $0.keptPullbacks == 0 })
            #expect(first.isHere)
        }
    }

    /// What an observer throws ends the run on its driver as well.
    @Test func anObserversErrorEndsTheRun() async throws {
        var trial = try SamplerTrial()
        trial.parameters.steps = 900
        var ranks = try trial.ranks(replicas: 2)
        ranks.jobsInFlight = 1
        ranks.take = SamplerRun.taker(pace: ProgressPace(every: .zero))
        let run = try trial.run()
        let short = try SamplerTrial().run()
        try await ranks.withNetwork { network in
            let first = try await network.room()
            let failure = await #expect(throws: Failure.self) {
                try await run.sampled(in: try await network.room()) { event in
                    if case .stepFinished = event { throw Failure.inputOutput("no room on the disk") }
                }
            }
            #expect(failure == Failure.inputOutput("no room on the disk"))
            _ = try await short.sampled(in: try await network.room()) { _ in }
            #expect(first.isHere)
        }
    }
}
