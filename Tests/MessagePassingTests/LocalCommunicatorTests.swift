import Failures
import MessagePassing
import Synchronization
import TestSupport
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
        #expect(ranks[1].traffic.receivedBytes == 20)
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
        ranks[1].dropNext(from: 0, tag: tag)
        ranks[1].dropNext(from: 0, tag: tag)
        for number in 4...6 { ranks[0].post([UInt8(number)], to: 1, tag: tag) }
        #expect(try await ranks[1].receive(from: 0, tag: tag) == [6])
    }

    @Test func aPayloadArrivesAlignedAndOfItsOwn() async throws {
        let ranks = LocalCommunicator.group(of: 2)
        let payload = pattern(of: 1, count: 100_001)
        ranks[0].post(head: [1, 2], payload: payload, to: 1, tag: tag)
        ranks[0].post(head: [3], payload: [UInt8](), to: 1, tag: tag)
        let message = try await ranks[1].receiveMessage(from: 0, tag: tag)
        let received = try #require(message.payload)
        #expect(message.head == [1, 2])
        #expect(received.withUnsafeBytes { Array($0) } == payload)
        #expect(UInt(bitPattern: received.baseAddress) % UInt(ReceivedBytes.alignment) == 0)
        #expect(received.baseAddress != payload.withUnsafeBytes { $0.baseAddress })
        #expect(ranks[0].traffic.sentBytes == 100_004)
        #expect(ranks[1].traffic.receivedBytes == 100_004)
        await #expect(throws: Failure.self) { try await ranks[1].receive(from: 0, tag: tag) }
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

@Suite struct SubscriptionTests {
    private let channel: UInt32 = 20

    private func tag(_ number: UInt64) -> MessageTag { MessageTag(channel: channel, number: number) }

    @Test func whatWaitsComesFirstInOrderOfArrival() async throws {
        let ranks = LocalCommunicator.group(of: 2)
        for number in 0..<20 { ranks[0].post([UInt8(number)], to: 1, tag: tag(UInt64(number * 7 % 5))) }
        ranks[0].post([99], to: 1, tag: MessageTag(channel: 21))
        let heads = Mutex<[UInt8]>([])
        ranks[1].subscribe(to: channel) { message in heads.withLock { $0 += message.head } }
        for number in 20..<30 { ranks[0].post([UInt8(number)], to: 1, tag: tag(UInt64(number % 3))) }
        #expect(heads.withLock { $0 } == Array(0..<30))
        #expect(try await ranks[1].receive(from: 0, tag: MessageTag(channel: 21)) == [99])
    }

    @Test func afterTheEndOfASubscriptionMessagesWaitAgain() async throws {
        let ranks = LocalCommunicator.group(of: 2)
        let heads = Mutex<[UInt8]>([])
        ranks[1].subscribe(to: channel) { message in heads.withLock { $0 += message.head } }
        ranks[0].post([1], to: 1, tag: tag(0))
        ranks[1].unsubscribe(from: channel)
        ranks[0].post([2], to: 1, tag: tag(0))
        #expect(try await ranks[1].receive(from: 0, tag: tag(0)) == [2])
        #expect(heads.withLock { $0 } == [1])
        ranks[1].subscribe(to: channel) { message in heads.withLock { $0 += message.head } }
        ranks[0].post([3], to: 1, tag: tag(0))
        #expect(heads.withLock { $0 } == [1, 3])
    }

    @Test func aHandlerMayPostAndEndItsSubscription() async throws {
        let rank = LocalCommunicator()
        let heads = Mutex<[UInt8]>([])
        let (channel, tag) = (channel, tag(0))
        rank.subscribe(to: channel) { message in
            heads.withLock { $0 += message.head }
            guard message.head[0] < 5 else { return rank.unsubscribe(from: channel) }
            // Two each: were they handed over at once, from within, their order would be another.
            if message.head[0] < 3 { rank.post([message.head[0] + 1], to: 0, tag: tag) }
            rank.post([message.head[0] + 3], to: 0, tag: tag)
        }
        rank.post([1], to: 0, tag: tag)
        #expect(heads.withLock { $0 } == [1, 2, 4, 3, 5])
        #expect(try await rank.receive(from: 0, tag: tag) == [7])
    }

    @Test func receivingOnASubscribedChannelFailsInPlaceOfWaitingForEver() async throws {
        let rank = LocalCommunicator()
        let waiting = Task { try await rank.receive(from: 0, tag: tag(0)) }
        try await Task.sleep(for: .milliseconds(20))
        rank.subscribe(to: channel) { _ in }
        await #expect(throws: Failure.self) { try await waiting.value }
        await #expect(throws: Failure.self) { try await rank.receive(from: 0, tag: tag(1)) }
    }

    @Test(arguments: [2, 4]) func messagesOfAllRanksAtOnceArriveWholeAndInOrder(size: Int) async throws {
        let traffic = InterleavedTraffic(seed: 3, messagesPerPair: 1000, largestPayload: 100_000)
        let counts = try await withThrowingTaskGroup(of: Int.self) { group in
            for rank in LocalCommunicator.group(of: size) { group.addTask { try await traffic.run(on: rank) } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(counts == [Int](repeating: 1000 * (size - 1), count: size))
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
