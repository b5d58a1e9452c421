/// The members of one configuration file, read with checks; a key that is absent or null has its default.
///
/// Every method throws `ConfigurationError` when the value is not what is expected.
struct ConfigurationFields {
    private let members: [String: ConfigurationValue]

    init(_ decoder: any Decoder) throws {
        members = try [String: ConfigurationValue](from: decoder)
    }

    /// The value of `key`; null if it is absent.
    subscript(_ key: some CodingKey) -> ConfigurationValue { self[key.stringValue] }
    subscript(_ key: String) -> ConfigurationValue { members[key] ?? .null }

    func integer(_ key: some CodingKey, in range: ClosedRange<Int>, default standard: Int?) throws -> Int {
        guard let value = try optionalInteger(key, in: range) ?? standard else {
            throw ConfigurationError(key: key.stringValue, expected: Self.described(range), found: "null")
        }
        return value
    }

    func optionalInteger(_ key: some CodingKey, in range: ClosedRange<Int>) throws -> Int? {
        if self[key] == .null { return nil }
        return try Self.integer(self[key], key.stringValue, in: range)
    }

    /// A list of 1 to 8 numbers.
    func integerList(_ key: some CodingKey, in range: ClosedRange<Int>, default standard: [Int]) throws -> [Int] {
        if self[key] == .null { return standard }
        guard let elements = self[key].elements, (1...8).contains(elements.count) else {
            throw ConfigurationError(
                key: key.stringValue, expected: "a list of 1 to 8 numbers", found: self[key].summary)
        }
        return try elements.enumerated().map {
            try Self.integer($1, "\(key.stringValue)[\($0)]", in: range)
        }
    }

    /// A list of `count` numbers, or one number that stands for all of them.
    func integers(
        _ key: some CodingKey, count: Int, in range: ClosedRange<Int>, default standard: Int
    ) throws -> [Int] {
        guard let elements = self[key].elements else {
            return Array(repeating: try integer(key, in: range, default: standard), count: count)
        }
        guard elements.count == count else {
            throw ConfigurationError(
                key: key.stringValue, expected: "a number or a list of \(count), one per block",
                found: self[key].summary)
        }
        return try integerList(key, in: range, default: [])
    }

    /// A positive finite number.
    func positive(_ key: some CodingKey, default standard: Float) throws -> Float {
        let value: Double
        switch self[key] {
        case .null: return standard
        case .integer(let integer): value = Double(integer)
        case .number(let number): value = number
        default: value = .nan
        }
        let single = Float(value)
        guard single > 0, single.isFinite else {
            throw ConfigurationError(key: key.stringValue, expected: "a positive number", found: self[key].summary)
        }
        return single
    }

    func number(_ key: some CodingKey, default standard: Double) throws -> Double {
        self[key] == .null ? standard : try Self.number(self[key], key.stringValue)
    }

    /// A list of numbers; nil if there is none.
    func numbers(_ key: some CodingKey) throws -> [Double]? {
        if self[key] == .null { return nil }
        guard let elements = self[key].elements else {
            throw ConfigurationError(key: key.stringValue, expected: "a list of numbers", found: self[key].summary)
        }
        return try elements.enumerated().map { try Self.number($1, "\(key.stringValue)[\($0)]") }
    }

    func flag(_ key: some CodingKey, default standard: Bool) throws -> Bool {
        switch self[key] {
        case .null: return standard
        case .bool(let value): return value
        default:
            throw ConfigurationError(key: key.stringValue, expected: "true or false", found: self[key].summary)
        }
    }

    /// One of the raw values of `Choice`.
    func choice<Choice: RawRepresentable<String> & CaseIterable>(
        _ key: some CodingKey, default standard: Choice
    ) throws -> Choice {
        if self[key] == .null { return standard }
        return try Self.choice(self[key], key.stringValue)
    }

    /// A list of `count` of the raw values of `Choice`.
    func choices<Choice: RawRepresentable<String> & CaseIterable>(
        _ key: some CodingKey, count: Int, default standard: [Choice]
    ) throws -> [Choice] {
        guard let elements = self[key].elements else {
            guard self[key] == .null, standard.count == count else {
                throw ConfigurationError(
                    key: key.stringValue, expected: "a list of \(count), one per block", found: self[key].summary)
            }
            return standard
        }
        guard elements.count == count else {
            throw ConfigurationError(
                key: key.stringValue, expected: "a list of \(count), one per block", found: self[key].summary)
        }
        return try elements.enumerated().map { try Self.choice($1, "\(key.stringValue)[\($0)]") }
    }

    /// Refuses a key that changes the computation in a way that is not built: it must be absent, null, or one of
    /// `accepted`.
    func require(_ key: String, oneOf accepted: ConfigurationValue...) throws {
        let value = self[key]
        if value == .null || accepted.contains(where: { $0.isEqual(to: value) }) { return }
        let expected = accepted.isEmpty ? "null" : accepted.map(\.summary).joined(separator: " or ")
        throw ConfigurationError(
            key: key, expected: "\(expected) (nothing else is supported)", found: value.summary)
    }

    private static func integer(
        _ value: ConfigurationValue, _ key: String, in range: ClosedRange<Int>
    ) throws -> Int {
        guard case .integer(let integer) = value, range.contains(integer) else {
            throw ConfigurationError(key: key, expected: described(range), found: value.summary)
        }
        return integer
    }

    private static func number(_ value: ConfigurationValue, _ key: String) throws -> Double {
        switch value {
        case .integer(let integer): return Double(integer)
        case .number(let number): return number
        default: throw ConfigurationError(key: key, expected: "a number", found: value.summary)
        }
    }

    private static func choice<Choice: RawRepresentable<String> & CaseIterable>(
        _ value: ConfigurationValue, _ key: String
    ) throws -> Choice {
        guard let choice = value.text.flatMap(Choice.init(rawValue:)) else {
            throw ConfigurationError(
                key: key, expected: Choice.allCases.map(\.rawValue).joined(separator: " or "), found: value.summary)
        }
        return choice
    }

    private static func described(_ range: ClosedRange<Int>) -> String {
        range.count == 1 ? "\(range.lowerBound)" : "a whole number from \(range.lowerBound) to \(range.upperBound)"
    }
}

extension ConfigurationValue {
    /// Equality that takes 1 and 1.0 for the same number, and a list of equal values for the value.
    fileprivate func isEqual(to other: ConfigurationValue) -> Bool {
        switch (self, other) {
        case (.integer(let a), .number(let b)), (.number(let b), .integer(let a)): Double(a) == b
        case (_, .array(let values)): values.allSatisfy { $0 == self }
        default: self == other
        }
    }
}

/// Bounds that every network's sizes keep, far above any real model and low enough that a product of a few of them
/// stays a number.
enum ConfigurationBounds {
    static let channels = 1...16384
    static let layers = 1...64
    static let groups = 1...1024
    static let heads = 1...1024
    /// About three times the largest UNet of the family's next generation.
    static let parameters = 8_000_000_000

    /// Refuses channels that the groups of a group norm do not divide.
    static func check(_ channels: [Int], divisibleBy groups: Int, key: some CodingKey) throws {
        for (index, count) in channels.enumerated() where count % groups != 0 {
            throw ConfigurationError(
                key: "\(key.stringValue)[\(index)]", expected: "a multiple of norm_num_groups, \(groups)",
                found: "\(count)")
        }
    }

    /// Refuses a description whose residual blocks alone would have more parameters than any real model.
    static func check(_ channels: [Int], layers: [Int], key: some CodingKey) throws {
        let kernel = 9
        let parameters = zip(channels, layers).reduce(0) { $0 + $1.0 * $1.0 * kernel * 2 * (2 * $1.1 + 1) }
        guard parameters <= Self.parameters else {
            throw ConfigurationError(
                key: key.stringValue, expected: "a network of at most \(Self.parameters) parameters",
                found: "\(channels), which asks for at least \(parameters)")
        }
    }
}

/// As diffusers writes it: one number where all blocks have the same.
enum NumberOrList: Encodable {
    case number(Int)
    case list([Int])

    init(_ values: [Int]) {
        if let first = values.first, values.allSatisfy({ $0 == first }) {
            self = .number(first)
        } else {
            self = .list(values)
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .number(let value): try container.encode(value)
        case .list(let values): try container.encode(values)
        }
    }
}
