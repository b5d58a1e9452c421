import Failures
import Foundation
import Synchronization
import TensorKernels
import TestSupport
import Testing

@Suite struct SharedArenaTests {
    private static func neverFill(_ block: UnsafeMutableRawBufferPointer) throws {
        throw Failure.internalFault("filled a second time")
    }

    @Test func twoMappingsHaveOneBlock() throws {
        let first = try SharedArena.create(byteCount: 1 << 30)
        let text = try JSONEncoder().encode(first.handle)
        let second = try SharedArena(opening: try JSONDecoder().decode(SharedArenaHandle.self, from: text))
        #expect(first.usedByteCount == 0)
        let made = try #require(
            try first.block(called: "a", byteCount: 5000) { block in
                for index in block.indices { block[index] = UInt8(truncatingIfNeeded: index &* 7) }
            })
        let found = try #require(try second.block(called: "a", byteCount: 5000, fill: Self.neverFill))
        #expect(made.baseAddress != found.baseAddress && made.elementsEqual(found))
        #expect(first.usedByteCount == 8192 && second.usedByteCount == 8192)
        let other = try #require(try second.block(called: "b", byteCount: 1) { $0[0] = 1 })
        #expect(other[0] == 1 && second.usedByteCount == 8192 + 4096)
        // The pages stay as long as anyone has them.
        #expect(try first.block(called: "b", byteCount: 1, fill: Self.neverFill)?[0] == 1)
    }

    @Test func handlesThatLieAreRefused() throws {
        let arena = try SharedArena.create(byteCount: 1 << 20)
        let good = arena.handle
        _ = try SharedArena(opening: good)
        let pipe = Pipe()
        let closed = try SharedArena.create(byteCount: 1 << 20).handle
        let other = try SharedArena.create(byteCount: 1 << 20)
        func handle(
            process: Int32? = nil, descriptor: Int32? = nil, byteCount: Int? = nil, key: String? = nil
        ) -> SharedArenaHandle {
            SharedArenaHandle(
                process: process ?? good.process, descriptor: descriptor ?? good.descriptor,
                byteCount: byteCount ?? good.byteCount, key: key ?? good.key)
        }
        let bad = [
            handle(process: 1), handle(process: 0), handle(process: -1), handle(process: .max),
            handle(descriptor: 1_000_000), handle(descriptor: -1), handle(descriptor: 0),
            handle(descriptor: pipe.fileHandleForReading.fileDescriptor),
            handle(byteCount: good.byteCount - 1), handle(byteCount: 0), handle(byteCount: .max), handle(byteCount: -1),
            handle(key: String(repeating: "1", count: 32)), handle(key: ""), handle(key: "g" + good.key.dropFirst()),
            handle(key: good.key.uppercased() + " "),
            handle(key: "+" + good.key.dropFirst()), handle(descriptor: other.handle.descriptor), closed,
        ]
        for handle in bad {
            #expect(throws: Failure.self, "\(handle)") { try SharedArena(opening: handle) }
        }
    }

    @Test(arguments: [Int.max, Int.max - (1 << 21), 1 << 62, 0, -1, .min])
    func absurdSizesAreRefused(byteCount: Int) {
        #expect(throws: Failure.self) { try SharedArena.create(byteCount: byteCount) }
    }

    @Test func aFillingThatFailsIsTriedAgain() throws {
        struct Broken: Error {}
        let arena = try SharedArena.create(byteCount: 8192)
        for _ in 0..<3 {
            #expect(throws: Broken.self) { try arena.block(called: "a", byteCount: 8192) { _ in throw Broken() } }
            #expect(arena.usedByteCount == 8192)
        }
        #expect(try arena.block(called: "a", byteCount: 8192) { $0[8191] = 3 }?[8191] == 3)
    }

    @Test func withoutRoomThereIsNoBlock() throws {
        let arena = try SharedArena.create(byteCount: 10000)
        let second = try SharedArena(opening: arena.handle)
        #expect(try arena.block(called: "too big", byteCount: 20000, fill: Self.neverFill) == nil)
        #expect(try second.block(called: "too big", byteCount: 20000, fill: Self.neverFill) == nil)
        #expect(try arena.block(called: "absurd", byteCount: .max, fill: Self.neverFill) == nil)
        #expect(try arena.block(called: "fits", byteCount: 8192) { $0[0] = 1 }?[0] == 1)
        #expect(try arena.block(called: "no more", byteCount: 4097, fill: Self.neverFill) == nil)
        #expect(try second.block(called: "fits", byteCount: 8192, fill: Self.neverFill)?[0] == 1)
    }

    /// More names than the table has entries for: the rest are not shared, and those that are stay found.
    @Test func aFullTableIsNoError() throws {
        let arena = try SharedArena.create(byteCount: 4096)
        #expect(try arena.block(called: "first", byteCount: 1) { $0[0] = 9 }?[0] == 9)
        for name in 0..<17_000 {
            #expect(try arena.block(called: "\(name)", byteCount: 5000, fill: Self.neverFill) == nil)
        }
        #expect(try arena.block(called: "first", byteCount: 1, fill: Self.neverFill)?[0] == 9)
    }

    /// Eight threads, each with its own mapping, ask for the same blocks in different orders.
    @Test func threadsFillEachBlockOnce() async throws {
        let arena = try SharedArena.create(byteCount: 64 << 20)
        let names = 64
        let fillings = Counts(names)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for thread in 0..<8 {
                let mapping = try thread % 2 == 0 ? arena : SharedArena(opening: arena.handle)
                group.addTask {
                    for step in 0..<names {
                        let name = (step * 5 + thread * 11) % names
                        let block = try mapping.block(called: "block \(name)", byteCount: 100_000) { block in
                            fillings.counts.withLock { $0[name] += 1 }
                            block.initializeMemory(as: UInt8.self, repeating: UInt8(name))
                        }
                        #expect(block?.allSatisfy { $0 == UInt8(name) } == true)
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(fillings.counts.withLock { $0 } == [Int](repeating: 1, count: names))
        #expect(arena.usedByteCount == names * 102_400)
    }

    private final class Counts: Sendable {
        let counts: Mutex<[Int]>
        init(_ count: Int) { counts = Mutex([Int](repeating: 0, count: count)) }
    }

    @Test func aDamagedHeadIsNoticed() throws {
        let arena = try SharedArena.create(byteCount: 1 << 20)
        _ = try arena.block(called: "a", byteCount: 4096) { $0[0] = 1 }
        // The head as any process that shares it may write it: an entry's fourth word is where its block begins, its
        // fifth the length.
        let head = try #require(
            mmap(nil, arena.byteCount, PROT_READ | PROT_WRITE, MAP_SHARED, arena.handle.descriptor, 0))
        defer { munmap(head, arena.byteCount) }
        let words = UnsafeMutableBufferPointer(
            start: head.assumingMemoryBound(to: UInt64.self), count: (arena.byteCount - (1 << 20)) / 8)
        let entry = try #require(stride(from: 512, to: words.count, by: 8).first { words[$0] != 0 })
        let (offset, length) = (words[entry + 3], words[entry + 4])
        for (badOffset, badLength) in [
            (0, length), (.max, length), (UInt64(arena.byteCount), length), (offset + 1, length),
            (offset, .max), (offset, 0), (offset, length + 1), (UInt64(Int.max) - 4095, length),
        ] {
            (words[entry + 3], words[entry + 4]) = (badOffset, badLength)
            #expect(throws: Failure.self, "\(badOffset) \(badLength)") {
                try arena.block(called: "a", byteCount: 4096, fill: Self.neverFill)
            }
        }
        (words[entry + 3], words[entry + 4]) = (offset, length)
        #expect(try arena.block(called: "a", byteCount: 4096, fill: Self.neverFill)?[0] == 1)
        // The ninth word of the head is the first byte that is free.
        for end in [0, 1, UInt64.max, UInt64(arena.byteCount) + 1] {
            words[8] = end
            #expect(try arena.block(called: "after \(end)", byteCount: 4096, fill: Self.neverFill) == nil)
            _ = arena.usedByteCount
        }
    }

    /// Advice may be declined, as by systems before Linux 6.1; what is written stays all the same, wherever the arena ends.
    @Test(arguments: [1, 2 << 20, 40 << 20, (70 << 20) + 4096])
    func blocksOfAnySizeKeepTheirBytesOnHugePages(byteCount: Int) throws {
        let arena = try SharedArena.create(byteCount: byteCount + 3 * 4096)
        let second = try SharedArena(opening: arena.handle)
        _ = try arena.block(called: "small", byteCount: 1) { $0[0] = 1 }
        _ = try second.block(called: "large", byteCount: byteCount) {
            for index in stride(from: 0, to: byteCount, by: 4096) { $0[index] = UInt8(truncatingIfNeeded: index >> 12) }
        }
        _ = try arena.block(called: "last", byteCount: 1) { $0[0] = 2 }
        let large = try #require(try arena.block(called: "large", byteCount: byteCount, fill: Self.neverFill))
        #expect(
            stride(from: 0, to: byteCount, by: 4096).allSatisfy {
                large[$0] == UInt8(truncatingIfNeeded: $0 >> 12)
            })
        #expect(try second.block(called: "small", byteCount: 1, fill: Self.neverFill)?[0] == 1)
        #expect(try second.block(called: "last", byteCount: 1, fill: Self.neverFill)?[0] == 2)
    }

    @Test func twoProcessesHoldOneCopy() async throws {
        let byteCount = 64 << 20
        let arena = try SharedArena.create(byteCount: 1 << 30)
        _ = try arena.block(called: "big", byteCount: byteCount) { $0.initializeMemory(as: UInt8.self, repeating: 3) }
        let result = try await probe("hold", arena)
        let words = result.output.split(whereSeparator: \.isWhitespace)
        try #require(words.count == 4, "\(result.errors)")
        #expect(Int(words[1]) == 3 * byteCount / 4096)
        let share = Double(Int(words[3]) ?? 0) / Double(byteCount)
        #expect(share > 0.49 && share < 0.53, "\(share) of the block")
        // Here it is whole again.
        let whole = ProcessMemory.current().proportionalByteCount ?? 0
        #expect(whole >= byteCount, "\(whole) bytes")
    }

    @Test func aProcessThatDiesWhileItFillsIsNamed() async throws {
        let arena = try SharedArena.create(byteCount: 1 << 30)
        let result = try await probe("fill", arena)
        #expect(result.output == "filling\n", "\(result.errors)")
        let failure = #expect(throws: Failure.self) {
            try arena.block(called: "big", byteCount: 64 << 20, fill: Self.neverFill)
        }
        #expect(failure?.message.contains("ended while it made big") == true)
    }

    /// Runs the second process until it says something, then kills it.
    private func probe(_ what: String, _ arena: SharedArena) async throws -> ProgramResult {
        let handle = String(decoding: try JSONEncoder().encode(arena.handle), as: UTF8.self)
        let result = try await Launcher.run("ArenaProbe", [what, handle]) { kill($0.processIdentifier, SIGKILL) }
        #expect(!result.hasHung && result.exitCode == 128 + SIGKILL)
        return result
    }

    @Test func memoryFigures() {
        let rollup = "00-ff ---p 0 00:00 0  [rollup]\nRss:   9 kB\nPss:    199 kB\nPss_Dirty:   116 kB\n"
        #expect(ProcessMemory.byteCount(of: "Pss", in: rollup) == 199 * 1024)
        #expect(ProcessMemory.byteCount(of: "Swap", in: rollup) == nil)
        #expect(ProcessMemory.byteCount(of: "Pss", in: "Pss: 9223372036854775807 kB") == nil)
        #expect(ProcessMemory.byteCount(of: "Pss", in: "Pss:") == nil)
        let memory = ProcessMemory.current()
        #expect(memory.peakResidentByteCount > 1 << 20)
        #expect((memory.proportionalByteCount ?? .max) <= memory.peakResidentByteCount)
    }
}
