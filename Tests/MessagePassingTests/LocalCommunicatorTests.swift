import Failures
import MessagePassing
import Testing

@Suite struct LocalCommunicatorTests {
    private let tag = MessageTag(channel: 20)

    @Test func messagesOfOneTagKeepTheirOrderAndTagsDoNotMix() async throws {
        let ranks = LocalCommunicator.group(of: 2)
        for number in 0..<10 {
            ranks[0].post([UInt8(number)], to: 1, tag: tag)
            ranks[0].post([UInt8(100 + number)], to: 1, tag: MessageTag(channel: 20, number: 1))
        }
        for number in 0..<10 {
            #expect(try await ranks[1].receive(from: 0, tag: tag) == [UInt8(number)])
        }
        #expect(try await ranks[1].receive(from: 0, tag: MessageTag(channel: 20, number: 1)) == [100])
        #expect(ranks[0].traffic.sentMessages == 20)
        #expect(ranks[1].traffic.receivedBytes == 11)
    }

    @Test func aCancelledReceiveEndsAndTheMessageStays() async throws {
        let ranks = LocalCommunicator.group(of: 2)
        let waiting = Task { try await ranks[1].receive(from: 0, tag: tag) }
        await Task.yield()
        waiting.cancel()
        await #expect(throws: CancellationError.self) { try await waiting.value }
        ranks[0].post([5], to: 1, tag: tag)
        #expect(try await ranks[1].receive(from: 0, tag: tag) == [5])
    }

    @Test func anUnwantedMessageIsDroppedBeforeAndAfterItComes() async throws {
        let ranks = LocalCommunicator.group(of: 2)
        ranks[1].dropNext(from: 0, tag: tag)
        ranks[0].post([1], to: 1, tag: tag)
        ranks[0].post([2], to: 1, tag: tag)
        ranks[0].post([3], to: 1, tag: tag)
        ranks[1].dropNext(from: 0, tag: tag)
        #expect(try await ranks[1].receive(from: 0, tag: tag) == [3])
    }

    @Test(arguments: [1, 2, 5])
    func collectivesReachEveryRank(size: Int) async throws {
        let ranks = LocalCommunicator.group(of: size)
        let gathered = try await withThrowingTaskGroup(of: [[Int]]?.self) { group in
            for rank in ranks {
                group.addTask {
                    let bytes = try await rank.broadcast(rank.rank == size - 1 ? [9, 8] : [], from: size - 1)
                    try await rank.barrier()
                    return try await rank.gather([rank.rank] + bytes.map(Int.init))
                }
            }
            return try await group.reduce(into: [[[Int]]]()) { all, values in
                if let values { all.append(values) }
            }
        }
        #expect(gathered == [(0..<size).map { [$0, 9, 8] }])
    }

    @Test func valuesOfAnotherKindAreRefused() async throws {
        let rank = LocalCommunicator()
        try await rank.send("text", to: 0, tag: tag)
        await #expect(throws: Failure.self) { try await rank.receive(Int.self, from: 0, tag: tag) }
        try await rank.send([1, 2, 3] as [Float], to: 0, tag: tag)
        await #expect(throws: Failure.self) { try await rank.receiveFloats(count: 2, from: 0, tag: tag) }
    }
}

@Suite struct LaunchEnvironmentTests {
    @Test func aProcessStartedByHandHasNone() throws {
        #expect(try LaunchEnvironment.detect(in: ["PATH": "/usr/bin", "SLURM_NTASKS": "2"]) == nil)
    }

    @Test func openMPIAndPMIxAreRecognised() throws {
        let mpirun = try LaunchEnvironment.detect(in: ["OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2"])
        #expect(mpirun?.rank == 1)
        #expect(mpirun?.size == 2)
        let slurm = try LaunchEnvironment.detect(in: ["PMIX_RANK": "3", "SLURM_STEP_NUM_TASKS": "4"])
        #expect(slurm?.rank == 3)
        #expect(slurm?.size == nil)
    }

    @Test(arguments: [["PMI_SIZE": "2", "PMI_RANK": "0"], ["SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "1"]])
    func launchersThatMPICannotTalkToAreRefused(environment: [String: String]) {
        #expect { try LaunchEnvironment.detect(in: environment) } throws: { ($0 as? Failure)?.kind == .usage }
    }
}

@Suite struct CleanUpsTests {
    @Test func whatIsRegisteredRunsOnceTheLatestFirst() async throws {
        let cleanUps = CleanUps()
        let (stream, continuation) = AsyncStream.makeStream(of: Int.self)
        _ = cleanUps.register { continuation.yield(1) }
        let withdrawn = cleanUps.register { continuation.yield(2) }
        _ = cleanUps.register { continuation.yield(3) }
        cleanUps.withdraw(withdrawn)
        cleanUps.runAll()
        cleanUps.runAll()
        continuation.finish()
        #expect(await stream.reduce(into: []) { $0.append($1) } == [3, 1])
    }
}
