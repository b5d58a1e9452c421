import Failures
import Foundation
import TensorKernels

/// A second process for the tests of shared memory: opens the arena whose handle is its second argument, as JSON, and
/// asks for a block of 64 MB.
@main
struct Probe {
    static let byteCount = 64 << 20

    static func main() throws {
        let arguments = CommandLine.arguments
        guard arguments.count == 3 else { throw Failure.usage("hold or fill, and a handle") }
        let handle = try JSONDecoder().decode(SharedArenaHandle.self, from: Data(arguments[2].utf8))
        let arena = try SharedArena(opening: handle)
        switch arguments[1] {
        case "hold":
            let block = try arena.block(called: "big", byteCount: byteCount) { _ in
                throw Failure.internalFault("the block should have been there")
            }
            guard let block else { throw Failure.internalFault("no block") }
            let pages = stride(from: 0, to: block.count, by: 4096)
            let sum = pages.reduce(0) { $0 + Int(block[$1]) }
            say("sum \(sum) proportional \(try proportionalByteCount())")
        case "fill":
            _ = try arena.block(called: "big", byteCount: byteCount) { _ in
                say("filling")
                sleep(60)
            }
        default: throw Failure.usage(arguments[1])
        }
        sleep(60)
    }

    /// PSS of the arena's mapping alone.
    static func proportionalByteCount() throws -> Int {
        // Foundation reads whole files of no stated size only as far as the first page.
        let bytes = try FileHandle(forReadingFrom: URL(filePath: "/proc/self/smaps")).readToEnd() ?? Data()
        let mappings = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
        guard let start = mappings.firstIndex(where: { $0.contains("memfd:pilot-weights") }),
            let line = mappings[start...].first(where: { $0.hasPrefix("Pss:") }),
            let kibibytes = line.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
        else { throw Failure.internalFault("no such mapping") }
        return kibibytes * 1024
    }

    static func say(_ line: String) { FileHandle.standardOutput.write(Data((line + "\n").utf8)) }
}
