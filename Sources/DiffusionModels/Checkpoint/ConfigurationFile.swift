import Failures
import Foundation

/// A value of a JSON file, kept until it is known what is expected there.
enum ConfigurationValue: Decodable, Sendable, Equatable {
    case null
    case bool(Bool)
    case integer(Int)
    case number(Double)
    case string(String)
    case array([ConfigurationValue])
    case object([String: ConfigurationValue])

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Int.self) {
            self = .integer(value)
        } else if let value = try? container.decode(Double.self) {
            self = .number(value)
        } else if let value = try? container.decode(String.self) {
            self = .string(value)
        } else if let value = try? container.decode([ConfigurationValue].self) {
            self = .array(value)
        } else {
            self = .object(try container.decode([String: ConfigurationValue].self))
        }
    }

    var text: String? {
        if case .string(let text) = self { text } else { nil }
    }

    var elements: [ConfigurationValue]? {
        if case .array(let elements) = self { elements } else { nil }
    }

    /// The value as an error message shows it.
    var summary: String {
        switch self {
        case .null: "null"
        case .bool(let value): "\(value)"
        case .integer(let value): "\(value)"
        case .number(let value): "\(value)"
        case .string(let value): quoted(value)
        case .array(let values):
            values.count <= 8 ? "[\(values.map(\.summary).joined(separator: ", "))]" : "a list of \(values.count)"
        case .object: "an object"
        }
    }
}

/// What is wrong at one key of a configuration; the reader adds the file's name.
struct ConfigurationError: Error {
    let key: String
    let expected: String
    let found: String
}

/// Reads the small JSON files of a model folder.
enum ConfigurationFile {
    /// The index of a sharded checkpoint is the largest of them, with a line per tensor.
    private static let mostBytes = 16 << 20

    /// - Throws: `Failure` naming the file and, if it can be told, key, expected and found.
    static func read<Configuration: Decodable>(_ type: Configuration.Type, from path: String) throws -> Configuration {
        try decode(type, from: try contents(of: path), of: path)
    }

    /// As `read`, of a file's contents.
    static func decode<Configuration: Decodable>(
        _ type: Configuration.Type, from data: Data, of path: String
    ) throws -> Configuration {
        do {
            return try JSONDecoder().decode(type, from: data)
        } catch let error as ConfigurationError {
            throw Failure.badData(file: path, key: error.key, expected: error.expected, found: error.found)
        } catch {
            throw malformed(path)
        }
    }

    /// The file's members, whatever they are.
    static func object(from path: String) throws -> [String: ConfigurationValue] {
        let data = try contents(of: path)
        guard let object = try? JSONDecoder().decode([String: ConfigurationValue].self, from: data) else {
            throw malformed(path)
        }
        return object
    }

    private static func contents(of path: String) throws -> Data {
        Data(try RegularFile.contents(of: path, expected: "a small JSON file", atMost: mostBytes))
    }

    private static func malformed(_ path: String) -> Failure {
        .badData("\(path): is not a well-formed JSON object")
    }
}
