"""The Python client of the WebSocket API's documentation, as it stands there but for the address, its argument."""

import asyncio
import json
import sys
import websockets

async def monitor():
    async with websockets.connect(sys.argv[1]) as ws:
        # Subscribe to all events
        await ws.send(json.dumps({
            "command": "subscribe", 
            "channels": ["*"]
        }))
        
        # Listen for events
        async for message in ws:
            event = json.loads(message)
            print(f"{event['type']}: {event['data']}")

asyncio.run(monitor())
