import DiffusionModels
import Failures
import ShardedRuntime
import Testing

/// The scheduler as data: what it answers to events in an order that the test chooses.
@Suite struct StageSchedulerTests {
    private func pass(_ job: UInt32, _ number: UInt32 = 1, _ branch: GuidanceBranch = .unconditional) -> PassIdentity {
        PassIdentity(job: JobIdentity(number: job), branch: branch, number: number)
    }

    private func arrived(_ pass: PassIdentity, _ leg: Leg, isRecorded: Bool = false) -> StageScheduler.Event {
        .arrived(.leg(pass, leg), isRecorded: isRecorded)
    }

    @Test func whatComesFirstRunsAtOnceAndAlone() throws {
        var scheduler = StageScheduler(isLast: false, capacity: 4)
        #expect(try scheduler.handle(arrived(pass(1), .down)) == [.run(.leg(pass(1), .down))])
        #expect(try scheduler.handle(arrived(pass(2), .down)) == [])
        #expect(
            try scheduler.handle(.finished(.leg(pass(1), .down), isOver: true))
                == [.deliver(.leg(pass(1), .down)), .run(.leg(pass(2), .down))])
        #expect(scheduler.keptCount == 2)
    }

    /// Gradients before forward passes, these in turns with decoding, that before encoding; then the older job.
    @Test func prioritiesAreAsStated() throws {
        var scheduler = StageScheduler(isLast: false, capacity: 10)
        for job: UInt32 in 1...4 {
            _ = try scheduler.handle(arrived(pass(job), .down, isRecorded: true))
            _ = try scheduler.handle(.finished(.leg(pass(job), .down), isOver: true))
        }
        for job: UInt32 in [3, 4] {
            _ = try scheduler.handle(arrived(pass(job), .up, isRecorded: true))
            _ = try scheduler.handle(.finished(.leg(pass(job), .up), isOver: true))
        }
        let blocker = StageTask.picture(JobIdentity(number: 99), .embed, number: 0)
        _ = try scheduler.handle(.arrived(blocker, isRecorded: false))
        let encode = StageTask.picture(JobIdentity(number: 1), .encode, number: 0)
        let decode = StageTask.picture(JobIdentity(number: 50), .decode, number: 0)
        let wanted: [StageTask] = [
            .leg(pass(3), .upGradient), .leg(pass(4), .upGradient), .leg(pass(1), .up), decode, .leg(pass(2), .up),
            encode, .leg(pass(5), .down),
        ]
        for task in [encode, wanted[6], wanted[4], decode, wanted[1], wanted[2], wanted[0]] {
            #expect(try scheduler.handle(.arrived(task, isRecorded: true)) == [])
        }
        var order: [StageTask] = []
        var running = blocker
        while let next = try scheduler.handle(.finished(running, isOver: true)).compactMap(\.started).first {
            order.append(next)
            running = next
        }
        #expect(order == wanted)
    }

    /// However many passes there are, work on a picture takes turns with them, but never goes before a gradient.
    @Test func picturesAreNotForgotten() throws {
        var scheduler = StageScheduler(isLast: false, capacity: 100)
        let encode = StageTask.picture(JobIdentity(number: 90), .encode, number: 0)
        var running = StageTask.leg(pass(1), .down)
        _ = try scheduler.handle(arrived(pass(1), .down, isRecorded: true))
        _ = try scheduler.handle(.arrived(encode, isRecorded: false))
        var order: [StageTask] = []
        for number: UInt32 in 2...12 {
            _ = try scheduler.handle(arrived(pass(number), .down, isRecorded: true))
            let next = try #require(
                try scheduler.handle(.finished(running, isOver: running != encode)).compactMap(\.started).first)
            order.append(next)
            running = next
        }
        let turns = order.indices.filter { order[$0] == encode }
        #expect(turns == [1, 3, 5, 7, 9], "\(turns)")

        var busy = StageScheduler(isLast: false, capacity: 100)
        let gradients = (1...10).map { pass($0) }
        for pass in gradients {
            for leg in [Leg.down, .up] {
                _ = try busy.handle(arrived(pass, leg, isRecorded: true))
                _ = try busy.handle(.finished(.leg(pass, leg), isOver: true))
            }
        }
        var last = StageTask.leg(gradients[0], .upGradient)
        _ = try busy.handle(.arrived(last, isRecorded: true))
        _ = try busy.handle(.arrived(encode, isRecorded: false))
        for pass in gradients.dropFirst() { _ = try busy.handle(arrived(pass, .upGradient, isRecorded: true)) }
        for pass in gradients.dropFirst() {
            #expect(try busy.handle(.finished(last, isOver: true)).contains(.run(.leg(pass, .upGradient))))
            last = .leg(pass, .upGradient)
        }
        #expect(try busy.handle(.finished(last, isOver: true)).contains(.run(encode)))
    }

    /// A decoding that goes on lets a gradient pass between two of its bits.
    @Test func picturesGiveWayBitByBit() throws {
        var scheduler = StageScheduler(isLast: true, capacity: 2)
        let decode = StageTask.picture(JobIdentity(number: 1), .decode, number: 0)
        #expect(try scheduler.handle(.arrived(decode, isRecorded: false)) == [.run(decode)])
        #expect(try scheduler.handle(.finished(decode, isOver: false)) == [.run(decode)])
        #expect(try scheduler.handle(arrived(pass(7), .down)) == [])
        #expect(try scheduler.handle(.finished(decode, isOver: false)) == [.run(.leg(pass(7), .down))])
        #expect(
            try scheduler.handle(.finished(.leg(pass(7), .down), isOver: true))
                == [.deliver(.leg(pass(7), .down)), .free(pass(7)), .run(decode)])
        #expect(try scheduler.handle(.finished(decode, isOver: true)) == [.deliver(decode)])
        #expect(scheduler.keptCount == 0 && scheduler.waitingCount == 0)
    }

    @Test func aDiscardedPassLeavesNothingWhateverItDoes() throws {
        var scheduler = StageScheduler(isLast: false, capacity: 2)
        _ = try scheduler.handle(arrived(pass(1), .down, isRecorded: true))
        // Discarded while it runs, and the discard is back before it ends.
        #expect(try scheduler.handle(.discarded(pass(1))) == [])
        #expect(try scheduler.handle(.discardReturned(pass(1))) == [])
        #expect(
            try scheduler.handle(.finished(.leg(pass(1), .down), isOver: true))
                == [.drop(.leg(pass(1), .down)), .free(pass(1))])
        #expect(scheduler.openDiscards == 0)
        // Discarded while it waits.
        _ = try scheduler.handle(arrived(pass(2), .down))
        _ = try scheduler.handle(arrived(pass(3), .down))
        #expect(try scheduler.handle(.discarded(pass(3))) == [.drop(.leg(pass(3), .down)), .free(pass(3))])
        // What comes up from below afterwards is dropped.
        #expect(try scheduler.handle(arrived(pass(3), .up)) == [.drop(.leg(pass(3), .up))])
        #expect(try scheduler.handle(.discardReturned(pass(3))) == [])
        #expect(scheduler.keptCount == 1 && scheduler.openDiscards == 0)
    }

    @Test func whatCanNotBeIsRefused() throws {
        var scheduler = StageScheduler(isLast: true, capacity: 1)
        _ = try scheduler.handle(arrived(pass(1), .down))
        #expect(throws: Failure.self) { try scheduler.handle(arrived(pass(1), .down)) }
        #expect(throws: Failure.self) { try scheduler.handle(arrived(pass(2), .down)) }
        #expect(throws: Failure.self) { try scheduler.handle(arrived(pass(1), .upGradient)) }
        #expect(throws: Failure.self) { try scheduler.handle(.finished(.leg(pass(2), .down), isOver: true)) }
        // Of a pass that failed here, what is still on its way is dropped.
        #expect(try scheduler.handle(.failed(.leg(pass(1), .down))) == [.free(pass(1))])
        #expect(try scheduler.handle(arrived(pass(1), .up)) == [.drop(.leg(pass(1), .up))])
    }

    /// Thousands of arrival orders on chains of every length: everything ends, nothing is kept, the bounds hold.
    @Test(arguments: 1...6)
    func noOrderOfEventsBlocksOrLeaks(stages: Int) throws {
        for seed: UInt64 in 0..<4000 {
            var chain = RandomChain(stages: stages, jobs: 1 + Int(seed % 5), seed: seed &* 77 &+ UInt64(stages))
            try chain.run()
            #expect(chain.isDone, "seed \(seed): blocked with \(chain.unfinished) passes open")
            #expect(chain.leftovers == 0, "seed \(seed): \(chain.leftovers) left behind")
            #expect(chain.broken == nil, "seed \(seed): \(chain.broken ?? "")")
            guard chain.isDone, chain.leftovers == 0, chain.broken == nil else { return }
        }
    }
}

extension StageScheduler.Command {
    /// The task that is to start.
    var started: StageTask? {
        guard case .run(let task) = self else { return nil }
        return task
    }
}
