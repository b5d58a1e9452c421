import Failures
import Foundation
import MessagePassing
import Synchronization
import Testing

@Suite struct DedicatedThreadTests {
    @Test func allWorkRunsOnOneThreadInOrder() async throws {
        let thread = try DedicatedThread(name: "test")
        let order = Mutex<[Int]>([])
        for number in 0..<100 { thread.enqueue { order.withLock { $0.append(number) } } }
        let identities = try await withThrowingTaskGroup(of: pthread_t.self) { group in
            for _ in 0..<20 { group.addTask { try await thread.run { pthread_self() } } }
            return try await group.reduce(into: Set<pthread_t>()) { $0.insert($1) }
        }
        #expect(identities.count == 1)
        #expect(!identities.contains(pthread_self()))
        #expect(order.withLock { $0 } == Array(0..<100))
        let isCurrentInside = try await thread.run { thread.isCurrent }
        #expect(isCurrentInside)
        #expect(!thread.isCurrent)
    }

    @Test func whatTheBodyThrowsIsThrown() async throws {
        let thread = try DedicatedThread(name: "test")
        await #expect(throws: Failure.badData("x")) { try await thread.run { throw Failure.badData("x") } }
        let next = try await thread.run { 7 }
        #expect(next == 7)
    }

    @Test func stoppingFinishesTheWorkAndRefusesMore() async throws {
        let thread = try DedicatedThread(name: "test")
        let done = Atomic(0)
        for _ in 0..<50 { thread.enqueue { done.add(1, ordering: .relaxed) } }
        thread.stop()
        #expect(done.load(ordering: .relaxed) == 50)
        #expect(!thread.enqueue {})
        await #expect(throws: Failure.self) { try await thread.run {} }
        thread.stop()
    }

    @Test func releasingItStillFinishesTheWork() async throws {
        let value = try await DedicatedThread(name: "test").run { 3 }
        #expect(value == 3)
        let done = Mutex(false)
        await withCheckedContinuation { continuation in
            _ = try? DedicatedThread(name: "test").enqueue {
                done.withLock { $0 = true }
                continuation.resume()
            }
        }
        #expect(done.withLock { $0 })
    }

    @Test func theStackIsAsLargeAsAskedFor() async throws {
        let thread = try DedicatedThread(name: "deep", stackBytes: 64 << 20)
        // Whatever lies below a local variable, down to the start of its memory mapping, is stack to grow into.
        let room = try await thread.run {
            var local = 0
            let address = withUnsafeMutablePointer(to: &local) { UInt(bitPattern: $0) }
            let maps = try String(contentsOfFile: "/proc/self/maps", encoding: .utf8)
            for line in maps.split(separator: "\n") {
                let bounds = line.prefix { $0 != " " }.split(separator: "-").compactMap { UInt($0, radix: 16) }
                if bounds.count == 2, bounds[0] <= address, address < bounds[1] { return address - bounds[0] }
            }
            return 0
        }
        #expect(room > 63 << 20)
    }

    @Test func anAbsurdStackIsRefusedWithTheReason() {
        #expect(throws: Failure.self) { try DedicatedThread(name: "absurd", stackBytes: 1 << 50) }
    }
}
