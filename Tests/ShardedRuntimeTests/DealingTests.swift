import DiffusionModels
import Failures
import Foundation
import MessagePassing
import ShardedRuntime
import TestSupport
import Testing

/// Jobs that are dealt to replicas: who says how much to whom, and who hears of what.
@Suite struct DealingTests {
    private struct Run {
        let layout: Layout
        let messages: [LocalRanks.Pair: Int]
    }

    /// As many jobs as there is room for, so that each replica has the same number.
    private func run(replicas: Int, steps: Int) async throws -> Run {
        let model = try StageModel(fixture: "sd1")
        let layout = try model.layout(replicas: replicas, branches: 2, stages: 2)
        var ranks = LocalRanks(model, layout)
        ranks.jobsInFlight = 2
        ranks.observation = LocalRanks.leftAlone
        let communicators = LocalCommunicator.group(of: layout.ranks)
        try await ranks.withNetwork(communicators) { network in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<network.jobsInFlight {
                    let job = TrialJob(model.configuration, height: 8, width: 8, steps: steps, number: number)
                    group.addTask { _ = try await job.run(on: network) }
                }
                try await group.waitForAll()
            }
        }
        return Run(layout: layout, messages: try await LocalRanks.messages(communicators))
    }

    @Test func whatGoesThroughRankZeroGrowsByPicturesAndNotBySteps() async throws {
        let (few, many) = (try await run(replicas: 3, steps: 3), try await run(replicas: 3, steps: 12))
        for rank in few.layout.ranksOfReplica..<few.layout.ranks {
            #expect(few.messages.between(0, rank) == many.messages.between(0, rank), "rank \(rank)")
            #expect(few.messages.of(rank) < many.messages.of(rank), "rank \(rank)")
        }
        for driver in [1, 2].map({ few.layout.driver(ofReplica: $0) }) {
            // Two orders, two results, and the word to stop.
            #expect(few.messages.between(0, driver) == 5)
        }
    }

    @Test func noOtherRankHasMoreToSayWithMoreReplicas() async throws {
        var runs: [Run] = []
        for replicas in [2, 4, 8] { runs.append(try await run(replicas: replicas, steps: 4)) }
        let ranksOfReplica = runs[0].layout.ranksOfReplica
        for run in runs {
            for rank in ranksOfReplica..<run.layout.ranks {
                let place = rank % ranksOfReplica
                #expect(
                    run.messages.of(rank) == runs[0].messages.of(ranksOfReplica + place), "rank \(rank), \(run.layout)")
            }
        }
        let first = runs.map { $0.messages.of(0) }
        // An order, a result for each of two jobs, and for each of its ranks the word to stop.
        let ofReplica = 2 * 2 + ranksOfReplica
        #expect(first[1] - first[0] == 2 * ofReplica && first[2] - first[1] == 4 * ofReplica)
    }

    /// Ranks whose tasks take as long as they like, jobs that come when they like, some of which are cancelled: those that
    /// end have the bits that they have alone.
    @Test(arguments: 0..<4) func anyOrderOfEventsGivesTheSameBits(seed: Int) async throws {
        let model = try StageModel(fixture: "odd")
        @Sendable func job(_ number: Int) -> TrialJob {
            TrialJob(model.configuration, height: 9, width: 8, steps: 3 + number % 3, number: number)
        }
        let alone = try await LocalRanks(model, .alone(rungs: model.configuration.rungCount)).withNetwork { network in
            var fingerprints: [String] = []
            for number in 0..<12 { fingerprints.append(try await job(number).run(on: network).fingerprint) }
            return fingerprints
        }
        var ranks = LocalRanks(model, try model.layout(replicas: 3, branches: 1 + seed % 2, stages: 2))
        ranks.jobsInFlight = 1 + seed % 3
        ranks.beforePass = { _ in wait(microseconds: UInt32.random(in: 0...3000)) }
        let found = try await ranks.withNetwork { network in
            let results = await withTaskGroup(of: (Int, String?).self) { group in
                for number in 0..<12 {
                    group.addTask {
                        let task = Task {
                            try await Task.sleep(for: .microseconds(Int.random(in: 0...5000)))
                            return try await job(number).run(on: network).fingerprint
                        }
                        if number % 4 == 3 {
                            try? await Task.sleep(for: .microseconds(Int.random(in: 0...60_000)))
                            task.cancel()
                        }
                        return (number, try? await task.value)
                    }
                }
                return await group.reduce(into: [Int: String]()) { $0[$1.0] = $1.1 }
            }
            // All rooms are free again.
            for number in 0..<network.jobsInFlight { _ = try await job(number).run(on: network) }
            return results
        }
        for number in 0..<12 where number % 4 != 3 { #expect(found[number] == alone[number], "job \(number)") }
        for (number, fingerprint) in found { #expect(fingerprint == alone[number], "job \(number)") }
    }

    /// A stage of another replica that can't compute fails that job alone, with its rank in the message.
    @Test func aFailureOfAnotherReplicaIsThrownOnRankZero() async throws {
        let model = try StageModel(fixture: "sd1")
        var ranks = LocalRanks(model, try model.layout(replicas: 2, branches: 1, stages: 1))
        ranks.failing = .conditional
        ranks.jobsInFlight = 1
        try await ranks.withNetwork { network in
            let first = try await network.room()
            let job = TrialJob(model.configuration, height: 8, width: 8, steps: 2)
            for _ in 0..<2 {
                let failure = await #expect(throws: Failure.self) { try await job.run(on: network) }
                #expect(failure?.kind == .badData)
                #expect(failure?.message.hasPrefix("rank 1 on ") == true)
                #expect(failure?.message.hasSuffix("unet.safetensors: broken") == true)
            }
            #expect(first.isHere)
            first.leave()
            let failure = await #expect(throws: Failure.self) { try await job.run(on: network) }
            #expect(failure?.message == "unet.safetensors: broken")
        }
    }

    /// A room that nobody uses is free when it goes.
    @Test func roomsAreGivenBack() async throws {
        let model = try StageModel(fixture: "sd1")
        var ranks = LocalRanks(model, try model.layout(replicas: 2, branches: 1, stages: 1))
        ranks.jobsInFlight = 1
        try await ranks.withNetwork { network in
            for _ in 0..<3 {
                let rooms = [try await network.room(), try await network.room()]
                #expect(rooms.map(\.isHere) == [true, false])
                let third = Task { try await network.room().isHere }
                try await Task.sleep(for: .milliseconds(10))
                rooms[1].leave()
                #expect(try await third.value == false)
                rooms[0].leave()
            }
        }
    }

    /// Rank 0 says when another replica makes no progress, and all that waits for it ends.
    @Test func anotherReplicaThatStandsStillIsNamed() async throws {
        let model = try StageModel(fixture: "sd1")
        let layout = try model.layout(replicas: 2, branches: 1, stages: 2)
        var ranks = LocalRanks(model, layout)
        ranks.jobsInFlight = 1
        ranks.observation = Observation(stallTimeout: 4)
        let (begun, beginning) = AsyncStream.makeStream(of: Void.self)
        ranks.beforePass = { rank in
            guard rank == 3 else { return }
            beginning.yield()
            wait(microseconds: 20_000_000)
        }
        try await ranks.withNetwork { network in
            let (notices, continuation) = AsyncStream.makeStream(of: StallNotice?.self)
            network.onNotice { continuation.yield($0) }
            let room = try await network.room()
            #expect(room.isHere)
            let job = TrialJob(model.configuration, height: 8, width: 8, steps: 2)
            let task = Task { try await job.run(on: network) }
            for await _ in begun { break }
            room.leave()
            let failure = await #expect(throws: Failure.self) { try await task.value }
            #expect(failure?.message.contains("no progress for ") == true, "\(failure?.message ?? "")")
            #expect(failure?.message.contains("rank 3 on ") == true, "\(failure?.message ?? "")")
            #expect(failure?.message.contains("has run `down` of job 2 ") == true, "\(failure?.message ?? "")")
            continuation.finish()
            var found: [StallNotice] = []
            for await notice in notices { if let notice { found.append(notice) } }
            #expect(!found.isEmpty && found.allSatisfy { $0.cause == .work && $0.ranks.hasPrefix("rank 3 on ") })
        }
    }
}

private func wait(microseconds: UInt32) { usleep(microseconds) }
