import Foundation
import ImageFiles
import Testing

/// Resolution and EXIF data on their way into a result.
struct MetadataTests {
    /// 300 and 150 to the inch, in a picture that lies on its side; in the last one EXIF alone says it.
    @Test(arguments: [("wide.png", 11811, 5906), ("wide.jpg", 5906, 11811), ("exif-density.jpg", 5906, 11811)])
    func resolutionIsKept(name: String, horizontal: UInt32, vertical: UInt32) throws {
        let picture = try DecodedImage.read(Fixtures.path("Colour/" + name))
        let resolution = try #require(picture.metadata.resolution)
        #expect(resolution.horizontal == horizontal && resolution.vertical == vertical && resolution.isPerMetre)
        try withTemporaryFolder { folder in
            try picture.rgb.writePNG(to: folder + "/a.png", metadata: picture.metadata)
            #expect(try DecodedImage.read(folder + "/a.png").metadata.resolution == resolution)
        }
    }

    /// The picture is turned once; thumbnails and makers' notes, which show what was there, are not in the result.
    @Test func exifDataIsKeptUprightAndWithoutPreviews() throws {
        let picture = try DecodedImage.read(Fixtures.path("Colour/wide.jpg"))
        #expect(picture.width == 48 && picture.height == 64)
        try withTemporaryFolder { folder in
            try picture.rgb.writePNG(to: folder + "/a.png", metadata: picture.metadata)
            let again = try DecodedImage.read(folder + "/a.png")
            #expect(again.rgb == picture.rgb && again.metadata == picture.metadata)
        }
        let exif = Data(picture.metadata.exif)
        // The header, and of the picture: maker, orientation, two resolutions (swapped), unit, and the directories below.
        let start: [UInt8] =
            [0x4D, 0x4D, 0, 42, 0, 0, 0, 8, 0, 7]
            + [0x01, 0x0F, 0, 2, 0, 0, 0, 6, 0, 0, 0, 98] + [0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, 1, 0, 0]
            + [0x01, 0x1A, 0, 5, 0, 0, 0, 1, 0, 0, 0, 104] + [0x01, 0x1B, 0, 5, 0, 0, 0, 1, 0, 0, 0, 112]
        #expect(Array(exif.prefix(start.count)) == start)
        #expect(Array(exif[98..<120]) == Array("Pilot\0".utf8) + [0, 0, 0, 150, 0, 0, 0, 1, 0, 0, 1, 44, 0, 0, 0, 1])
        // Exposure time, sides (8 x 4 in the camera's way), and the place's latitude.
        let kept: [[UInt8]] = [
            [0x82, 0x9A, 0, 5, 0, 0, 0, 1], [0xA0, 0x02, 0, 4, 0, 0, 0, 1, 0, 0, 0, 4],
            [0xA0, 0x03, 0, 4, 0, 0, 0, 1, 0, 0, 0, 8], [0, 2, 0, 5, 0, 0, 0, 3],
        ]
        for bytes in kept { #expect(exif.range(of: Data(bytes)) != nil, "\(bytes)") }
        for word in ["THUMBNAIL", "MAKERNOTE!"] { #expect(exif.range(of: Data(word.utf8)) == nil) }
    }

    /// Ten thousand fields that all point at the same kilobytes make nothing larger than the file.
    @Test func fieldsThatShareBytesAreNoBomb() throws {
        let count = 4000
        var exif: [UInt8] = [0x4D, 0x4D, 0, 42, 0, 0, 0, 8, UInt8(count >> 8), UInt8(count & 255)]
        for tag in 0..<count { exif += [UInt8(tag >> 8), UInt8(tag & 255), 0, 7, 0, 0, 0x80, 0, 0, 0, 0, 8] }
        let jpeg = try Fixtures.bytes("ycbcr-444-baseline.jpg")
        let length = exif.count + 8
        let segment = [0xFF, 0xE1, UInt8(length >> 8), UInt8(length & 255)] + Array("Exif\0\0".utf8) + exif
        let picture = try DecodedImage.decode(Array(jpeg[..<2]) + segment + jpeg[2...], path: "a.jpg")
        #expect(picture.metadata.exif.count > 0x8000 && picture.metadata.exif.count < 2 * exif.count)
    }
}
