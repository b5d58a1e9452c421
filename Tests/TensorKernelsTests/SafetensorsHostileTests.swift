import Failures
import Foundation
import TensorKernels
import Testing

@Suite("Hostile safetensors files")
struct SafetensorsHostileTests {
    let scratch: SafetensorsScratch

    init() throws { scratch = try SafetensorsScratch() }

    /// Expects `Failure.badData` in one line that names the file and contains `words`.
    private func expectRefusal(
        _ failure: Failure?, _ words: String..., location: SourceLocation = #_sourceLocation
    ) throws {
        let failure = try #require(failure, "the file was accepted", sourceLocation: location)
        #expect(failure.kind == .badData, sourceLocation: location)
        #expect(failure.message.contains(scratch.folder.path), sourceLocation: location)
        #expect(!failure.message.contains("\n"), sourceLocation: location)
        for word in words {
            #expect(failure.message.contains(word), "\(failure.message)", sourceLocation: location)
        }
    }

    static let good = #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#

    @Test("a good file is accepted, with white space around and escapes inside")
    func good() throws {
        #expect(try scratch.failure(header: Self.good, data: 8) == nil)
        #expect(try scratch.failure(header: "{}") == nil)
        let spaced =
            #"{ "\u0061\ud83d\ude00" : {"shape" :[ 2 ], "data_offsets":[0 , 8],"dtype":"F32"} , "__metadata__":{"k":"v"} }  "#
        let path = try scratch.write(
            SafetensorsScratch.bytes(header: spaced, data: [0, 0, 128, 63, 0, 0, 0, 64]))
        let file = try SafetensorsFile(path: path)
        #expect(file.metadata == ["k": "v"])
        #expect(file.tensors["a😀"]?.float32Values() == [1, 2])
    }

    @Test("header lengths that overflow, exceed the limit or the file")
    func headerLengths() throws {
        for length in [UInt64.max, 1 << 63, UInt64(Int.max), 100_000_001, 0, 1] {
            try expectRefusal(scratch.failure(header: Self.good, data: 8, length: length), "header length")
        }
        let tooLong = UInt64(Self.good.utf8.count + 9)
        try expectRefusal(scratch.failure(header: Self.good, data: 8, length: tooLong), "truncated")
        try expectRefusal(scratch.failure([1, 2, 3]), "truncated")
        try expectRefusal(scratch.failure([]), "empty")
    }

    @Test("a file cut off at any length")
    func truncated() throws {
        let bytes = SafetensorsScratch.bytes(header: Self.good, data: [UInt8](repeating: 1, count: 8))
        for length in 0..<bytes.count { try expectRefusal(scratch.failure(Array(bytes.prefix(length)))) }
    }

    @Test(
        "headers that are not of the one form",
        arguments: [
            "[]", "x", "{", #"{"a":1}"#, #"{"a":{}}"#, #"{"a":null}"#, #"{"":}"#, "{}{}", "{},", "{\"a\"", #"{"a\"#,
            #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0]}}"#,
            #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8,8]}}"#,
            #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"extra":1}}"#,
            #"{"a":{"dtype":"F32","shape":2,"data_offsets":[0,8]}}"#,
            #"{"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}}"#,
            #"{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}"#,
            #"{"a":{"dtype":"F32","shape":[02],"data_offsets":[0,8]}}"#,
            #"{"a":{"dtype":"F32","shape":[2e0],"data_offsets":[0,8]}}"#,
            #"{"a":{"dtype":"F32","shape":[2,],"data_offsets":[0,8]}}"#,
            #"{"a":{"dtype":"F32","shape":[[2]],"data_offsets":[0,8]}}"#,
            #"{"a":{"dtype":"F32","shape":["2"],"data_offsets":[0,8]}}"#,
            #"{"a":{"dtype":1,"shape":[2],"data_offsets":[0,8]}}"#,
            #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},}"#,
            #"{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,8]}}"#,
            #"{"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,2],"data_offsets":[0,8]}}"#,
            #"{"__metadata__":{"a":1}}"#, #"{"__metadata__":{"a":{"b":"c"}}}"#, #"{"__metadata__":"x"}"#,
            #"{"\ud800":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#,
            #"{"\ud800\u0041":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#,
            #"{"\x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#,
            "{\"a\n\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
        ])
    func malformed(header: String) throws {
        try expectRefusal(scratch.failure(header: header, data: 8))
    }

    @Test("bytes in a name that are not UTF-8, and brackets a million deep")
    func oddBytes() throws {
        let text = Array(#"{"a"#.utf8) + [0xff, 0xfe] + Array(#"":{}}"#.utf8)
        try expectRefusal(
            scratch.failure(withUnsafeBytes(of: UInt64(text.count).littleEndian, Array.init) + text), "UTF-8")
        let deep = "{\"a\":" + String(repeating: "[", count: 1_000_000)
        try expectRefusal(scratch.failure(header: deep), "byte 5")
    }

    @Test("a key that comes twice, at each level")
    func duplicates() throws {
        let entry = #"{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#
        let other = #"{"dtype":"F32","shape":[1],"data_offsets":[4,8]}"#
        try expectRefusal(scratch.failure(header: "{\"a\":\(entry),\"a\":\(other)}", data: 8), "\"a\" twice")
        try expectRefusal(scratch.failure(header: "{\"a\":\(entry),\"\\u0061\":\(other)}", data: 8), "\"a\" twice")
        try expectRefusal(
            scratch.failure(header: #"{"a":{"dtype":"F32","dtype":"F16","shape":[2],"data_offsets":[0,8]}}"#, data: 8),
            "twice")
        try expectRefusal(scratch.failure(header: #"{"__metadata__":{"k":"v","k":"w"}}"#), "twice")
    }

    @Test("offsets that overlap, leave a hole, run backwards or leave the file")
    func offsets() throws {
        func header(_ first: (Int, Int), _ second: (Int, Int)) -> String {
            "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[\(first.0),\(first.1)]},"
                + "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[\(second.0),\(second.1)]}}"
        }
        #expect(try scratch.failure(header: header((4, 8), (0, 4)), data: 8) == nil)
        try expectRefusal(scratch.failure(header: header((0, 4), (0, 4)), data: 4), "without overlap or hole")
        try expectRefusal(scratch.failure(header: header((0, 4), (2, 6)), data: 6), "without overlap or hole")
        try expectRefusal(scratch.failure(header: header((0, 4), (5, 9)), data: 9), "without overlap or hole")
        try expectRefusal(scratch.failure(header: header((1, 5), (5, 9)), data: 9), "without overlap or hole")
        try expectRefusal(scratch.failure(header: header((0, 4), (8, 4)), data: 8), "data_offsets")
        try expectRefusal(scratch.failure(header: header((0, 4), (4, 8)), data: 7), "truncated")
        try expectRefusal(scratch.failure(header: header((0, 4), (4, 8)), data: 9), "expected 8 bytes")
        let last = Int.max
        try expectRefusal(scratch.failure(header: header((0, 4), (last - 4, last)), data: 8), "overlap or hole")
    }

    @Test("sizes that do not fit the shape or overflow")
    func sizes() throws {
        func header(_ type: String, _ shape: String, _ end: Int) -> String {
            "{\"weight\":{\"dtype\":\"\(type)\",\"shape\":[\(shape)],\"data_offsets\":[0,\(end)]}}"
        }
        try expectRefusal(scratch.failure(header: header("F32", "3", 8), data: 8), "\"weight\"", "12 bytes")
        try expectRefusal(scratch.failure(header: header("F16", "3", 8), data: 8), "6 bytes")
        let half = 1 << 32
        try expectRefusal(scratch.failure(header: header("F32", "\(half),\(half)", 0)), "2^63")
        try expectRefusal(scratch.failure(header: header("F32", "\(half),\(half / 4)", 0)), "2^63")
        try expectRefusal(scratch.failure(header: header("F32", "\(Int.max)", 8), data: 8), "2^63")
    }

    @Test("tensors without elements share an offset and read as nothing")
    func empty() throws {
        let header =
            #"{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"b":{"dtype":"F32","shape":[1],"#
            + #""data_offsets":[0,4]},"c":{"dtype":"F16","shape":[9223372036854775807,4,0],"data_offsets":[4,4]},"#
            + #""d":{"dtype":"F16","shape":[0],"data_offsets":[0,0]}}"#
        let path = try scratch.write(SafetensorsScratch.bytes(header: header, data: [0, 0, 128, 63]))
        let file = try SafetensorsFile(path: path)
        #expect(file.tensors["a"]?.float32Values() == [])
        #expect(file.tensors["b"]?.float32Values() == [1])
        #expect(file.tensors["c"]?.float32Values() == [])
        #expect(file.tensors["c"]?.firstNonFinite == nil)
        let inside =
            #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"z":{"dtype":"F32","shape":[0],"data_offsets":[2,2]}}"#
        try expectRefusal(scratch.failure(header: inside, data: 4), "overlap or hole")
    }

    @Test("an unknown element type is refused with the tensor's name, made fit for one line")
    func unknownType() throws {
        try expectRefusal(
            scratch.failure(header: #"{"w\n1":{"dtype":"F4\n","shape":[2],"data_offsets":[0,8]}}"#, data: 8),
            "\"w\\u{a}1\"", "dtype", "\"F4\\u{a}\"")
    }

    @Test("pickle files, by their first bytes and by their name")
    func pickle() throws {
        let zip = [UInt8]("PK".utf8) + [3, 4] + [UInt8](repeating: 0, count: 40)
        try expectRefusal(scratch.failure(zip), "pickle")
        try expectRefusal(scratch.failure([0x80, 2] + [UInt8](repeating: 0x8a, count: 40)), "pickle")
        let good = SafetensorsScratch.bytes(header: "{}", data: [])
        try expectRefusal(scratch.failure(good, as: "model.ckpt"), "pickle")
        try expectRefusal(scratch.failure(good, as: "model.bin"), "pickle")
    }

    @Test("folders, missing files, pipes")
    func notFiles() throws {
        let pipe = scratch.path("pipe")
        #expect(mkfifo(pipe, 0o600) == 0)
        for path in [scratch.folder.path, scratch.path("nothing"), pipe] {
            let error = try #require(throws: Failure.self) { try SafetensorsFile(path: path) }
            #expect(error.kind == .missingInput)
            #expect(error.message.contains(path))
        }
    }

    @Test("no change of bytes makes the reader crash, and what it accepts can be read")
    func flippedBytes() throws {
        let header =
            #"{"__metadata__":{"a":"b"},"w":{"dtype":"F16","shape":[2,3],"data_offsets":[0,12]},"#
            + #""x":{"dtype":"BF16","shape":[],"data_offsets":[12,14]},"y":{"dtype":"F32","shape":[1],"data_offsets":[14,18]}}"#
        let bytes = SafetensorsScratch.bytes(header: header, data: [UInt8](repeating: 0x3f, count: 18))
        var random = Reproducible(generator: WeightGenerator(seed: 1))
        var accepted = 0
        for trial in 0..<bytes.count + 300 {
            var changed = bytes
            // First every byte once, then a few at random.
            if trial < bytes.count {
                changed[trial] ^= UInt8(1 << (trial % 8))
            } else {
                for _ in 0..<Int.random(in: 1...4, using: &random) {
                    changed[Int.random(in: 0..<changed.count, using: &random)] = UInt8.random(
                        in: 0...255, using: &random)
                }
            }
            let path = try scratch.write(changed)
            guard let file = try? SafetensorsFile(path: path) else { continue }
            accepted += 1
            for tensor in file.tensors.values where tensor.elementType.isNetworkType {
                #expect(tensor.float32Values().count == tensor.count)
                _ = tensor.firstNonFinite
            }
        }
        // The data's own bytes may be anything.
        #expect(accepted >= 18)
    }
}

/// The same changes in every run.
private struct Reproducible: RandomNumberGenerator {
    var generator: WeightGenerator

    mutating func next() -> UInt64 { generator.next() }
}
