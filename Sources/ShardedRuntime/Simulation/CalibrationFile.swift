import Failures
import Foundation

/// The file that a calibration is kept in: JSON with a version.
public enum CalibrationFile {
    /// What the next version of the format will not be.
    public static let version = 1
    /// A calibration is some kilobytes; what is larger is something else.
    private static let mostBytes = 16 << 20
    private static let expectation = "a calibration such as pilot plan --calibrate writes"

    private struct Contents: Codable {
        var version: Int
        var machine: String
        var taskOverhead: Double
        var driverSeconds: Double
        var node: Calibration.Link
        var speeds: [Calibration.Speed]

        enum CodingKeys: String, CodingKey {
            case version, machine, node, speeds
            case taskOverhead = "task_overhead"
            case driverSeconds = "driver_seconds"
        }
    }

    private struct Version: Codable {
        var version: Int
    }

    /// `calibration.json` in `$XDG_CACHE_HOME/pilot-mpi`, or in `~/.cache/pilot-mpi`.
    public static func defaultPath(in environment: [String: String] = ProcessInfo.processInfo.environment) -> String {
        let cache = environment["XDG_CACHE_HOME"].flatMap { $0.hasPrefix("/") ? $0 : nil }
        let home = environment["HOME"] ?? NSHomeDirectory()
        return "\(cache ?? "\(home)/.cache")/pilot-mpi/calibration.json"
    }

    /// - Returns: the calibration of `path`, or of the default file if there is one, or the built-in one, and in words
    ///   which.
    /// - Throws: `Failure` naming file and key, if a file is there, or named, and is no calibration.
    public static func read(_ path: String?) throws -> (calibration: Calibration, source: String) {
        let file = path ?? defaultPath()
        guard path != nil || FileManager.default.fileExists(atPath: file) else {
            return (.builtIn, "built-in figures of one core with AVX-512, for want of \(file)")
        }
        let calibration = try decode(
            Data(try RegularFile.contents(of: file, expected: expectation, atMost: mostBytes)), file: file)
        return (calibration, "\(file), measured on \(calibration.machine ?? "")")
    }

    public static func decode(_ data: Data, file: String) throws -> Calibration {
        do {
            let found = try JSONDecoder().decode(Version.self, from: data).version
            guard found == version else {
                throw Failure.badData(
                    file: file, key: "version", expected: "\(version); pilot plan --calibrate writes one anew",
                    found: "\(found)")
            }
            let contents = try JSONDecoder().decode(Contents.self, from: data)
            let calibration = Calibration(
                machine: contents.machine, speeds: contents.speeds, node: contents.node,
                taskOverhead: contents.taskOverhead, driverSeconds: contents.driverSeconds)
            try check(calibration, file: file)
            return calibration
        } catch let error as DecodingError {
            throw Failure.badData("\(file): \(describe(error)); pilot plan --calibrate writes one anew")
        }
    }

    public static func encode(_ calibration: Calibration) throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return try encoder.encode(
            Contents(
                version: version, machine: calibration.machine ?? "unknown", taskOverhead: calibration.taskOverhead,
                driverSeconds: calibration.driverSeconds, node: calibration.node, speeds: calibration.speeds))
    }

    /// Finds out, before anything is measured, whether the file can be written, and makes its folder if it is not there.
    ///
    /// - Throws: `Failure.inputOutput`.
    public static func checkWritable(_ path: String) throws {
        try makeFolder(of: path)
        try AtomicFile.checkWritable(path)
    }

    /// Writes the file, and makes its folder if it is not there.
    ///
    /// - Throws: `Failure.inputOutput`.
    public static func write(_ calibration: Calibration, to path: String) throws {
        try makeFolder(of: path)
        let data = try encode(calibration)
        try AtomicFile.write(to: path) { try $0.write([UInt8](data)) }
    }

    private static func makeFolder(of path: String) throws {
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
        do {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        } catch {
            throw Failure.inputOutput("cannot make the folder \(folder): \(error.localizedDescription)")
        }
    }

    // MARK: Checks

    private static func check(_ calibration: Calibration, file: String) throws {
        func check(_ key: String, _ value: Double, _ range: ClosedRange<Double>) throws {
            guard value.isFinite, range.contains(value) else {
                throw Failure.badData(
                    file: file, key: key, expected: "\(range.lowerBound) to \(range.upperBound)", found: "\(value)")
            }
        }
        try check("task_overhead", calibration.taskOverhead, 0...10)
        try check("driver_seconds", calibration.driverSeconds, 0...10)
        try check("node.latency", calibration.node.latency, 0...10)
        try check("node.bandwidth", calibration.node.bandwidth, 1e3...1e15)
        guard !calibration.speeds.isEmpty else {
            throw Failure.badData(file: file, key: "speeds", expected: "one or more", found: "none")
        }
        for (index, speed) in calibration.speeds.enumerated() {
            let key = "speeds[\(index)]"
            try check("\(key).threads", Double(speed.threads), 1...1024)
            try check("\(key).slowdown_per_neighbour", speed.slowdownPerNeighbour, 0...100)
            for (name, rates) in [("network", speed.network), ("pictures", speed.pictures)] {
                try check("\(key).\(name).convolution", rates.convolution, 1e-18...1)
                try check("\(key).\(name).linear", rates.linear, 1e-18...1)
                try check("\(key).\(name).attention", rates.attention, 1e-18...1)
                try check("\(key).\(name).weight", rates.weight, 0...1)
            }
            for (number, ladder) in speed.ladders.enumerated() {
                let key = "\(key).ladders[\(number)]"
                let legs = [ladder.down, ladder.up, ladder.upGradient, ladder.downGradient]
                guard legs.allSatisfy({ $0.count == ladder.down.count }) else {
                    throw Failure.badData(
                        file: file, key: key, expected: "as many rungs in each leg",
                        found: legs.map { "\($0.count)" }.joined(separator: ", "))
                }
                for seconds in legs.joined() { try check(key, seconds, 0...1e6) }
            }
        }
    }

    private static func describe(_ error: DecodingError) -> String {
        func key(_ path: [any CodingKey]) -> String {
            path.reduce("") { text, part in
                part.intValue.map { "\(text)[\($0)]" }
                    ?? (text.isEmpty ? part.stringValue : "\(text).\(part.stringValue)")
            }
        }
        switch error {
        case .keyNotFound(let missing, let context): return "\(key(context.codingPath + [missing])) is missing"
        case .typeMismatch(let type, let context):
            return "\(key(context.codingPath)): expected \(type), found something else"
        case .valueNotFound(let type, let context): return "\(key(context.codingPath)): expected \(type), found null"
        case .dataCorrupted(let context) where !context.codingPath.isEmpty:
            return "\(key(context.codingPath)): \(context.debugDescription)"
        default: return "expected a calibration in JSON, found something else"
        }
    }
}
